#include "posttrain/grpo/advantage.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace hadal::posttrain {

bool has_signal(std::span<const double> rewards) {
  return std::any_of(rewards.begin(), rewards.end(), [&](double r) { return r != rewards.front(); });
}

std::vector<double> group_advantages(std::span<const double> rewards, bool divide_by_std) {
  std::vector<double> advantages(rewards.size(), 0.0);
  if (!has_signal(rewards)) return advantages;
  const auto count = static_cast<double>(rewards.size());
  const double mean = std::accumulate(rewards.begin(), rewards.end(), 0.0) / count;
  double squares = 0;
  for (const double r : rewards) squares += (r - mean) * (r - mean);
  const double unit = divide_by_std ? std::sqrt(squares / count) : 1.0;
  for (size_t i = 0; i < rewards.size(); ++i) advantages[i] = (rewards[i] - mean) / unit;
  return advantages;
}

Average parse_average(std::string_view name) {
  if (name == "sequence") return Average::kSequence;
  if (name == "token") return Average::kToken;
  if (name == "constant") return Average::kConstant;
  throw_error(ErrorCode::kBadInput, "[grpo] average \"{}\": must be sequence, token or constant", name);
}

std::vector<double> token_weights(std::span<const int64_t> lengths, Average average, int64_t constant) {
  const auto answers = static_cast<double>(lengths.size());
  const auto tokens = static_cast<double>(std::accumulate(lengths.begin(), lengths.end(), int64_t{0}));
  std::vector<double> weights;
  for (const int64_t length : lengths) {
    switch (average) {
      case Average::kSequence:
        weights.push_back(1 / (answers * static_cast<double>(length)));
        break;
      case Average::kToken:
        weights.push_back(1 / tokens);
        break;
      case Average::kConstant:
        weights.push_back(1 / (answers * static_cast<double>(constant)));
        break;
    }
  }
  return weights;
}

}  // namespace hadal::posttrain
