#include "eval/statistics.h"

#include <algorithm>
#include <cmath>
#include <map>

namespace hadal::eval {

Estimate mean_estimate(std::span<const double> values) {
  if (values.empty()) return {};
  const auto problems = static_cast<double>(values.size());
  double p = 0;
  for (const double v : values) p += v;
  p /= problems;
  double squares = 0;
  for (const double v : values) squares += (v - p) * (v - p);
  // By n, not n - 1: for yes-or-no values this is p (1 - p), and the number below the number of problems.
  const double variance = squares / problems;
  double n = problems;
  if (variance > 0) n = std::max(n, p * (1 - p) / (variance / problems));
  constexpr double kZ = 1.959963984540054;  // 95 %
  const double z2 = kZ * kZ / n;
  const double middle = (p + z2 / 2) / (1 + z2);
  const double half = kZ / (1 + z2) * std::sqrt(p * (1 - p) / n + z2 / (4 * n));
  return {p, std::max(0.0, middle - half), std::min(1.0, middle + half)};
}

double pass_at_k(int64_t n, int64_t c, int64_t k) {
  double none = 1;  // C(n-c, k) / C(n, k), factor by factor
  for (int64_t i = n - c + 1; i <= n; ++i)
    none *= i > k ? 1 - static_cast<double>(k) / static_cast<double>(i) : 0;
  return 1 - none;
}

double majority_vote(std::span<const Vote> votes) {
  struct Group {
    int64_t votes = 0;
    bool correct = false;
  };
  std::map<std::string, Group> groups;
  int64_t most = 0;
  for (const Vote& vote : votes) {
    if (vote.key.empty()) continue;
    Group& group = groups[vote.key];
    group.correct = group.correct || vote.correct;
    most = std::max(most, ++group.votes);
  }
  int64_t leaders = 0, right = 0;
  for (const auto& [key, group] : groups) {
    if (group.votes < most) continue;
    ++leaders;
    right += group.correct ? 1 : 0;
  }
  return leaders == 0 ? 0 : static_cast<double>(right) / static_cast<double>(leaders);
}

}  // namespace hadal::eval
