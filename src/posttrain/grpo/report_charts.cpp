#include "posttrain/grpo/report_charts.h"

namespace hadal::posttrain {

train::ReportLayout grpo_report(std::span<const RewardPart> parts) {
  train::ReportLayout layout;
  layout.figures = {{"Held-out pass@1", "val_pass1", true},
                    {"Held-out, well formed", "val_format", true},
                    {"Reward", "reward", false},
                    {"Tokens of an answer", "length", false},
                    {"Largest log-probability difference, sampler and trainer", "logprob_diff_max", false},
                    {"Rollout tokens per second", "rollout_tokens_per_s", false},
                    {"Training tokens per second", "train_tokens_per_s", false}};
  layout.charts = {{"Held-out pass@1, and answers in the right form",
                    {{"val_pass1", "right"}, {"val_format", "well formed"}},
                    true},
                   {"Reward, weighted sum", {{"reward", "reward"}}, true}};
  for (const RewardPart& part : parts)
    layout.charts.push_back({"Reward: " + part.name, {{"reward_" + part.name, part.name}}, true});
  const std::vector<train::ReportChart> rest = {
      {"Tokens of an answer", {{"length", "sampled"}, {"val_length", "held-out"}}, true},
      {"Answers cut at the length", {{"cut", "share"}}, true},
      {"Entropy of the policy (nats per token)", {{"entropy", "entropy"}}, true},
      {"KL to the reference (nats per token, k3)", {{"kl", "KL"}}, true},
      {"Tokens clipped", {{"clip_fraction", "share"}}, true},
      {"Groups without signal", {{"groups_without_signal", "share"}}, true},
      {"Seconds of a step", {{"rollout_seconds", "rollouts"}, {"train_seconds", "training"}}, true},
      {"Sampler against trainer: |difference of log-probabilities|",
       {{"logprob_diff_max", "largest"}, {"logprob_diff_mean", "mean"}},
       true},
      {"Tokens per second", {{"rollout_tokens_per_s", "rollouts"}, {"train_tokens_per_s", "training"}}, true},
      {"Gradient norm before clipping", {{"grad_norm", "norm"}}, true}};
  layout.charts.insert(layout.charts.end(), rest.begin(), rest.end());
  return layout;
}

}  // namespace hadal::posttrain
