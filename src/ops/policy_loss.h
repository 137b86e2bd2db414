// The policy gradient's loss, token by token, and its gradient with respect to the log-probabilities. The
// loss of a batch is sum_t w_t L_t over its answers' tokens, with
//   r_t  = exp(logp_t - old_t)                          old: under the policy that sampled
//   P_t  = min(r_t A_t, clip(r_t, 1 - clip_low, 1 + clip_high) A_t)
//   k3_t = exp(ref_t - logp_t) - (ref_t - logp_t) - 1   estimate of KL(policy || reference), unbiased, >= 0
//   L_t  = -P_t + kl k3_t
// Sources: P_t is PPO's (Schulman et al. 2017) on the token's ratio, as in GRPO's eq. 3 (DeepSeekMath,
// arXiv 2402.03300), k3 its eq. 4 (Schulman 2020); clip_high > clip_low is DAPO's (arXiv 2503.14476) "clip
// higher". The weights w_t say how tokens are averaged: posttrain/grpo/advantage.h.
#pragma once

#include <cstdint>
#include <span>

namespace hadal::ops {

struct PolicyLossOptions {
  float clip_low = 0.2f;   // [0, 1]
  float clip_high = 0.2f;  // >= 0
  float kl = 0.001f;       // beta; 0: the reference is not looked at
};

// What a batch's tokens have in common; all spans are [tokens].
struct PolicyLossInput {
  std::span<const float> logprobs;    // ln of the policy that is trained
  std::span<const float> old;         // ln of the policy that sampled
  std::span<const float> reference;   // ln of the reference; may be empty when kl is 0
  std::span<const float> advantages;  // A_t: its answer's
  std::span<const float> weights;     // w_t
};

// Sums over the tokens, in their order.
struct PolicyLossResult {
  double loss = 0;          // sum of w_t L_t
  double kl = 0;            // sum of k3_t, where there is a reference
  double max_ratio = 0;     // of max(r_t, 1 / r_t)
  int64_t clipped_low = 0;  // tokens without a gradient of P_t, since r_t left the interval
  int64_t clipped_high = 0;
  int64_t tokens = 0;
};

// gradient [tokens] receives d loss / d logprobs.
PolicyLossResult policy_loss(const PolicyLossOptions& options, const PolicyLossInput& input,
                             std::span<float> gradient);

}  // namespace hadal::ops
