// What is said about a model from samples: rates with intervals, pass@k, votes.
#pragma once

#include <cstdint>
#include <span>
#include <string>

namespace hadal::eval {

// A value and its 95 % confidence interval.
struct Estimate {
  double value = 0;
  double low = 0;
  double high = 1;
};

// The mean of one number in [0, 1] per problem. The problems are the sample: that many answers of one
// problem resemble each other is in the numbers already.
//
// Wilson's score interval (Wilson 1927) with the number of independent yes-or-no answers that would have the
// variance seen: n = p (1 - p) / (s^2 / problems), at least the number of problems. For one answer a problem
// that is Wilson's own interval; it never leaves [0, 1], and does not collapse at 0 or 1.
Estimate mean_estimate(std::span<const double> values);

// Probability that at least one of k answers drawn from n, c of them right, is right: 1 - C(n-c, k) / C(n,
// k), the unbiased estimate of pass@k (Chen et al. 2021, arXiv 2107.03374). 1 <= k <= n, 0 <= c <= n.
double pass_at_k(int64_t n, int64_t c, int64_t k);

// The most frequent answer's being right: 1, 0, or the share of right ones where several are as frequent.
// Two answers are one when their keys are the same; an empty key does not vote. 0 without votes.
struct Vote {
  std::string key;
  bool correct = false;
};
double majority_vote(std::span<const Vote> votes);

}  // namespace hadal::eval
