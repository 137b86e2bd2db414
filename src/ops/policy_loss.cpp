#include "ops/policy_loss.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal::ops {

PolicyLossResult policy_loss(const PolicyLossOptions& options, const PolicyLossInput& input,
                             std::span<float> gradient) {
  const size_t tokens = input.logprobs.size();
  const bool has_reference = !input.reference.empty();
  HADAL_CHECK(input.old.size() == tokens && input.advantages.size() == tokens);
  HADAL_CHECK(input.weights.size() == tokens && gradient.size() == tokens);
  HADAL_CHECK(has_reference ? input.reference.size() == tokens : options.kl == 0);
  const double low = 1.0 - options.clip_low, high = 1.0 + options.clip_high;
  PolicyLossResult result;
  result.tokens = static_cast<int64_t>(tokens);
  for (size_t t = 0; t < tokens; ++t) {
    const double logprob = input.logprobs[t], advantage = input.advantages[t], weight = input.weights[t];
    const double ratio = std::exp(logprob - input.old[t]);
    const bool too_high = advantage > 0 && ratio > high, too_low = advantage < 0 && ratio < low;
    const double kept = too_high ? high : too_low ? low : ratio;
    double loss = -kept * advantage;
    double slope = too_high || too_low ? 0.0 : -ratio * advantage;
    if (has_reference) {
      const double difference = input.reference[t] - logprob;
      const double estimate = std::expm1(difference) - difference;
      result.kl += estimate;
      loss += options.kl * estimate;
      slope -= options.kl * std::expm1(difference);
    }
    result.clipped_high += too_high ? 1 : 0;
    result.clipped_low += too_low ? 1 : 0;
    result.max_ratio = std::max({result.max_ratio, ratio, 1 / ratio});
    result.loss += weight * loss;
    gradient[t] = static_cast<float>(weight * slope);
  }
  return result;
}

}  // namespace hadal::ops
