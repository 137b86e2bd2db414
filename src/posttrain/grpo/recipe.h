// A run of GRPO as a TOML file; recipes/r1-zero/r1-zero.toml shows it in use. Keys that nobody knows are
// errors that name the nearest known key.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "ops/policy_loss.h"
#include "posttrain/grpo/advantage.h"
#include "posttrain/rewards/reward_sum.h"
#include "train/optimizer.h"
#include "train/recipe_parts.h"
#include "train/schedule.h"

namespace hadal::posttrain {

struct GrpoRecipe {
  std::string path;
  std::string text;  // the effective TOML, overrides included
  uint64_t seed = 1;

  std::string
      base;  // [model] a Hugging Face directory or a GGUF file: the policy begins as it, and the reference
  std::string task;                       // [task] "sums:4" (eval/tasks/task.h)
  bool skip_bad_lines = false;            // of a file of questions: leave them out, and count them
  std::string prompt_template = "brief";  // of eval/tasks/prompt_template.h
  std::vector<RewardPart> rewards;        // [rewards] sum = "correct=1,format=0.2" (posttrain/rewards)

  // [rollout]
  int prompts = 16;       // questions of a step
  int answers = 16;       // G, of each question
  int max_tokens = 96;    // of an answer
  int max_running = 256;  // answers that share the engine's steps

  // [grpo]
  int minibatches = 1;  // optimizer steps per batch of rollouts, each on a part of the questions
  ops::PolicyLossOptions loss;
  bool divide_by_std = true;
  Average average = Average::kSequence;
  int64_t reference_every_steps = 400;  // the policy becomes the reference; 0: the base stays it
  // Groups whose answers are all worth the same are replaced by new questions, up to so many times as many
  // questions in a step (DAPO's dynamic sampling); 1: never.
  int dynamic_sampling_rounds = 1;

  // [train]
  int64_t row_tokens = 0;       // answers are packed into rows of so many tokens; 0: the longest that can be
  int64_t micro_tokens = 8192;  // of one forward and backward pass

  train::OptimizerOptions optimizer;  // [optimizer]
  train::Schedule schedule;           // [schedule]

  // [eval]
  int64_t eval_every_steps = 20;  // 0: only at the end
  int eval_problems = 256;        // held-out
  int eval_answers = 1;           // of each
  int64_t report_every_steps = 10;

  train::CheckpointOptions checkpoint{.every_steps = 50, .weights = "f32"};  // [checkpoint]
};

// Throws Error{kBadInput} "[recipe] file:line: key ...". `overrides` are "section.key=value".
GrpoRecipe load_grpo_recipe(const std::string& path, const std::vector<std::string>& overrides = {});
GrpoRecipe parse_grpo_recipe(const std::string& toml, const std::string& name,
                             const std::vector<std::string>& overrides = {});

// What a checkpoint remembers, as train::compare_recipes takes it: what must not change stands under
// "model" and "data".
base::Json recipe_to_json(const GrpoRecipe& recipe);

}  // namespace hadal::posttrain
