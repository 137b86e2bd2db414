#include "ops/policy_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace hadal::ops {
namespace {

struct Problem {
  std::vector<float> logprobs, old, reference, advantages, weights;
  PolicyLossInput input() const { return {logprobs, old, reference, advantages, weights}; }
};

// Ratios from 0.3 to 3, on both sides of every clip, none near a corner (where there is no derivative).
Problem problem(const PolicyLossOptions& o, size_t tokens, uint64_t seed) {
  base::Random random(seed);
  Problem p;
  while (p.logprobs.size() < tokens) {
    const auto logprob = static_cast<float>(-3 * random.uniform());
    const auto shift = static_cast<float>(2.4 * random.uniform() - 1.2);
    const double ratio = std::exp(static_cast<double>(shift));
    if (std::fabs(ratio - 1 + o.clip_low) < 0.02 || std::fabs(ratio - 1 - o.clip_high) < 0.02) continue;
    p.logprobs.push_back(logprob);
    p.old.push_back(logprob - shift);
    p.reference.push_back(logprob + static_cast<float>(random.normal()));
    p.advantages.push_back(static_cast<float>(random.normal()));
    p.weights.push_back(static_cast<float>(random.uniform()));
  }
  return p;
}

TEST(PolicyLoss, GradientMatchesFiniteDifferences) {
  for (const PolicyLossOptions& options :
       {PolicyLossOptions{0.2f, 0.2f, 0.04f}, {0.2f, 0.28f, 0}, {0.1f, 10.0f, 1.0f}, {0, 0, 0.5f}}) {
    Problem p = problem(options, 64, 7);
    std::vector<float> gradient(64), ignored(64);
    policy_loss(options, p.input(), gradient);
    for (size_t t = 0; t < 64; ++t) {
      const float kept = p.logprobs[t];
      constexpr float kStep = 1.0f / 1024;
      p.logprobs[t] = kept + kStep;
      const double above = policy_loss(options, p.input(), ignored).loss;
      p.logprobs[t] = kept - kStep;
      const double below = policy_loss(options, p.input(), ignored).loss;
      p.logprobs[t] = kept;
      EXPECT_NEAR(gradient[t], (above - below) / (2 * kStep), 2e-4) << "token " << t;
    }
  }
}

TEST(PolicyLoss, ClipsTheGainAndNeverTheLoss) {
  const PolicyLossOptions options{0.2f, 0.3f, 0};
  // Ratios 2 and 0.5 with either sign of the advantage.
  const auto ln2 = static_cast<float>(std::log(2.0));
  const std::vector<float> logprobs = {-1, -1, -1, -1}, old = {-1 - ln2, -1 - ln2, -1 + ln2, -1 + ln2},
                           advantages = {1, -1, 1, -1}, weights(4, 1.0f);
  std::vector<float> gradient(4);
  const auto result = policy_loss(options, {logprobs, old, {}, advantages, weights}, gradient);
  EXPECT_FLOAT_EQ(gradient[0], 0);     // likelier already than 1.3: no more
  EXPECT_FLOAT_EQ(gradient[1], 2);     // a bad token that became likelier: pushed back in full
  EXPECT_FLOAT_EQ(gradient[2], -0.5);  // a good token that became rarer: pulled back
  EXPECT_FLOAT_EQ(gradient[3], 0);     // rarer already than 0.8: no more
  EXPECT_NEAR(result.loss, -1.3 + 2 - 0.5 + 0.8, 1e-6);
  EXPECT_EQ(result.clipped_high, 1);
  EXPECT_EQ(result.clipped_low, 1);
  EXPECT_NEAR(result.max_ratio, 2, 1e-6);
}

// The mean of k3 over samples of p is KL(p || q).
TEST(PolicyLoss, KlEstimateIsUnbiasedAndNeverNegative) {
  const std::vector<double> p = {0.5, 0.3, 0.2}, q = {0.2, 0.3, 0.5};
  double exact = 0, mean = 0;
  for (size_t i = 0; i < 3; ++i) {
    exact += p[i] * std::log(p[i] / q[i]);
    const std::vector<float> logprob = {static_cast<float>(std::log(p[i]))},
                             reference = {static_cast<float>(std::log(q[i]))}, zero = {0}, one = {1};
    std::vector<float> gradient(1);
    const double k3 = policy_loss({0.2f, 0.2f, 1}, {logprob, logprob, reference, zero, one}, gradient).kl;
    EXPECT_GE(k3, 0);
    mean += p[i] * k3;
  }
  EXPECT_NEAR(mean, exact, 1e-6);
}

}  // namespace
}  // namespace hadal::ops
