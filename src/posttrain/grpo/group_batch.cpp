#include "posttrain/grpo/group_batch.h"

#include <algorithm>
#include <numeric>

namespace hadal::posttrain {

namespace {

std::vector<double> totals(const Group& group) {
  std::vector<double> values;
  for (const RewardValue& value : group.rewards) values.push_back(value.total);
  return values;
}

}  // namespace

void score(std::span<Group> groups, const eval::PromptTemplate& how, RewardSum& rewards) {
  std::vector<Completion> completions;
  for (const Group& group : groups) {
    for (size_t a = 0; a < group.answers.size(); ++a) {
      const Answer& answer = group.answers[a];
      completions.push_back({.problem = &group.problem,
                             .text = answer.text,
                             .parsed = parse(how, answer),
                             .tokens = static_cast<int64_t>(answer.tokens.size()),
                             .finished = answer.ended,
                             .draw = group.index << 16 | a});
    }
  }
  const std::vector<RewardValue> values = rewards.score(completions);
  auto next = values.begin();
  for (Group& group : groups) {
    group.rewards.assign(next, next + static_cast<std::ptrdiff_t>(group.answers.size()));
    next += static_cast<std::ptrdiff_t>(group.answers.size());
    group.has_signal = has_signal(totals(group));
  }
}

UpdateBatch minibatch(const GroupBatch& batch, int m, int count, const GrpoRecipe& recipe) {
  const size_t groups = batch.groups.size();
  const auto cut = [&](int part) { return groups * static_cast<size_t>(part) / static_cast<size_t>(count); };
  const auto members = std::span(batch.groups).subspan(cut(m), cut(m + 1) - cut(m));
  std::vector<int64_t> lengths;
  for (const Group& group : members) {
    for (const Answer& answer : group.answers) lengths.push_back(static_cast<int64_t>(answer.tokens.size()));
  }
  const std::vector<double> weights = token_weights(lengths, recipe.average, recipe.max_tokens);
  UpdateBatch out;
  size_t at = 0;
  for (const Group& group : members) {
    const std::vector<double> advantages = group_advantages(totals(group), recipe.divide_by_std);
    for (size_t a = 0; a < group.answers.size(); ++a, ++at) {
      if (!group.has_signal) continue;
      out.trajectories.push_back({group.prompt, &group.answers[a]});
      out.advantages.push_back(advantages[a]);
      out.weights.push_back(weights[at]);
    }
  }
  return out;
}

void describe(const GroupBatch& batch, std::span<const RewardPart> parts, base::Json& line) {
  double answers = 0, total = 0, tokens = 0, cut = 0;
  double longest = 0;
  std::vector<double> by_part(parts.size());
  int64_t failed = 0;
  for (const Group& group : batch.groups) {
    for (size_t a = 0; a < group.answers.size(); ++a) {
      const auto length = static_cast<double>(group.answers[a].tokens.size());
      ++answers;
      tokens += length;
      longest = std::max(longest, length);
      cut += group.answers[a].ended ? 0 : 1;
      total += group.rewards[a].total;
      failed += group.rewards[a].failed;
      for (size_t p = 0; p < parts.size(); ++p) by_part[p] += group.rewards[a].parts[p];
    }
  }
  line["reward"] = total / answers;
  for (size_t p = 0; p < parts.size(); ++p) line["reward_" + parts[p].name] = by_part[p] / answers;
  if (failed > 0) line["rewards_failed"] = failed;
  line["length"] = tokens / answers;
  line["length_max"] = longest;
  line["cut"] = cut / answers;
  line["asked"] = batch.asked;
  line["groups_without_signal"] =
      static_cast<double>(batch.without_signal) / static_cast<double>(batch.asked);
  line["rollout_tokens"] = batch.cost.answer_tokens;
}

}  // namespace hadal::posttrain
