// Intervals that hold what they promise, pass@k against its definition, votes with ties.
#include "eval/statistics.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/random.h"

namespace hadal::eval {
namespace {

std::vector<double> rights(int right, int all) {
  std::vector<double> out(static_cast<size_t>(all), 0.0);
  std::fill(out.begin(), out.begin() + right, 1.0);
  return out;
}

TEST(MeanEstimate, OfOneAnswerAProblemIsWilsons) {
  const Estimate half = mean_estimate(rights(5, 10));
  EXPECT_DOUBLE_EQ(half.value, 0.5);
  EXPECT_NEAR(half.low, 0.2366, 1e-4);  // the interval of 5 of 10 in every table
  EXPECT_NEAR(half.high, 0.7634, 1e-4);
  const Estimate none = mean_estimate(rights(0, 10));
  EXPECT_EQ(none.value, 0);
  EXPECT_EQ(none.low, 0);
  EXPECT_NEAR(none.high, 0.2775, 1e-4);
  const Estimate all = mean_estimate(rights(10, 10));
  EXPECT_NEAR(all.low, 0.7225, 1e-4);
  EXPECT_DOUBLE_EQ(all.high, 1);
}

TEST(MeanEstimate, KnowsNothingWithoutProblems) {
  const Estimate e = mean_estimate({});
  EXPECT_EQ(e.low, 0);
  EXPECT_EQ(e.high, 1);
}

// Answers of one problem that are all alike tell no more than one of them does; answers that differ tell
// more.
TEST(MeanEstimate, ProblemsAreTheSample) {
  const auto width = [](const std::vector<double>& values) {
    const Estimate e = mean_estimate(values);
    return e.high - e.low;
  };
  const std::vector<double> alike = rights(25, 50);
  const std::vector<double> spread(50, 0.5);
  EXPECT_GT(width(alike), 0.25);
  EXPECT_GE(width(alike), width(spread));
  std::vector<double> between;
  for (int i = 0; i < 50; ++i) between.push_back(i % 2 == 0 ? 0.4 : 0.6);
  EXPECT_LT(width(between), 0.12);
}

// 95 % intervals hold the truth about 95 times in 100, for problems of very different difficulty.
TEST(MeanEstimate, CoversTheTruth) {
  base::Random random(3);
  for (const int samples : {1, 8}) {
    for (const double truth : {0.08, 0.5, 0.9}) {
      int covered = 0;
      constexpr int kRounds = 1500;
      for (int round = 0; round < kRounds; ++round) {
        std::vector<double> values;
        for (int problem = 0; problem < 60; ++problem) {
          // Half of the problems are easier than the mean, half harder.
          const double shift = 0.8 * std::min(truth, 1 - truth) * (random.below(2) == 0 ? 1 : -1);
          int right = 0;
          for (int i = 0; i < samples; ++i) right += random.uniform() < truth + shift ? 1 : 0;
          values.push_back(static_cast<double>(right) / samples);
        }
        const Estimate e = mean_estimate(values);
        covered += e.low <= truth && truth <= e.high ? 1 : 0;
      }
      EXPECT_GT(covered, 0.925 * kRounds) << samples << " " << truth;
      EXPECT_LT(covered, 0.99 * kRounds) << samples << " " << truth;
    }
  }
}

double choose(int n, int k) {
  double out = 1;
  for (int i = 0; i < k; ++i) out = out * (n - i) / (i + 1);
  return k > n ? 0 : out;
}

TEST(PassAtK, IsOneMinusTheChanceOfNone) {
  for (int n = 1; n <= 20; ++n)
    for (int c = 0; c <= n; ++c)
      for (int k = 1; k <= n; ++k)
        EXPECT_NEAR(pass_at_k(n, c, k), 1 - (n - c >= k ? choose(n - c, k) / choose(n, k) : 0), 1e-12)
            << n << " " << c << " " << k;
  EXPECT_DOUBLE_EQ(pass_at_k(16, 4, 1), 0.25);
  EXPECT_DOUBLE_EQ(pass_at_k(16, 0, 16), 0);
  EXPECT_DOUBLE_EQ(pass_at_k(16, 1, 16), 1);
}

// Unbiased: the mean over draws of n samples is 1 - (1 - p)^k.
TEST(PassAtK, IsUnbiased) {
  base::Random random(11);
  double sum = 0;
  constexpr int kRounds = 40'000;
  for (int round = 0; round < kRounds; ++round) {
    int right = 0;
    for (int i = 0; i < 8; ++i) right += random.uniform() < 0.2 ? 1 : 0;
    sum += pass_at_k(8, right, 4);
  }
  EXPECT_NEAR(sum / kRounds, 1 - 0.8 * 0.8 * 0.8 * 0.8, 0.006);
}

TEST(MajorityVote, TakesTheMostFrequentAnswer) {
  EXPECT_EQ(majority_vote(std::vector<Vote>{{"46", true}, {"46", true}, {"47", false}}), 1);
  EXPECT_EQ(majority_vote(std::vector<Vote>{{"46", true}, {"47", false}, {"47", false}}), 0);
  EXPECT_EQ(majority_vote(std::vector<Vote>{{"46", true}, {"47", false}}), 0.5);
  EXPECT_EQ(majority_vote(std::vector<Vote>{{"", false}, {"", false}, {"46", true}}), 1);
  EXPECT_EQ(majority_vote(std::vector<Vote>{{"", false}}), 0);
  EXPECT_EQ(majority_vote({}), 0);
}

}  // namespace
}  // namespace hadal::eval
