// What a step of GRPO samples: groups of answers to one question each, with their rewards.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/json.h"
#include "eval/tasks/task.h"
#include "posttrain/grpo/recipe.h"
#include "posttrain/grpo/update.h"
#include "posttrain/rewards/reward_sum.h"
#include "posttrain/rollout/rollout.h"

namespace hadal::posttrain {

struct Group {
  uint64_t index = 0;  // of the question in the task's stream
  eval::Problem problem;
  std::vector<text::TokenId> prompt;
  std::vector<Answer> answers;
  std::vector<RewardValue> rewards;  // [answers]
  bool has_signal = false;           // the rewards differ
};

struct GroupBatch {
  std::vector<Group> groups;
  RolloutCost cost;
  int64_t asked = 0;           // questions, those that dynamic sampling dropped included
  int64_t without_signal = 0;  // of these
};

// Sets the rewards of every answer, and has_signal.
void score(std::span<Group> groups, const eval::PromptTemplate& how, RewardSum& rewards);

// Part `m` of `count` of the groups as a minibatch; only groups with signal have trajectories in it.
UpdateBatch minibatch(const GroupBatch& batch, int m, int count, const GrpoRecipe& recipe);

// Rewards by part, lengths, groups without signal: keys of a line of metrics.
void describe(const GroupBatch& batch, std::span<const RewardPart> parts, base::Json& line);

}  // namespace hadal::posttrain
