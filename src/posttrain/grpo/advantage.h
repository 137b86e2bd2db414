// From rewards to what each token of an answer is worth, and how tokens are averaged.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

namespace hadal::posttrain {

// A_i = (R_i - mean R) / std R over the answers to one question (DeepSeekMath, arXiv 2402.03300, section
// 4.1.2; std over the group, divided by its size). divide_by_std = false leaves A_i = R_i - mean R (Dr. GRPO,
// arXiv 2503.20783: the division weighs easy and hard questions up). A group whose rewards are all equal has
// no signal: zeros.
std::vector<double> group_advantages(std::span<const double> rewards, bool divide_by_std);

// Whether the rewards of a group differ.
bool has_signal(std::span<const double> rewards);

// How the tokens of a batch of N answers o_i weigh:
enum class Average {
  kSequence,  // 1 / (N |o_i|): GRPO, DeepSeekMath eq. 3
  kToken,     // 1 / sum |o_i|: DAPO (arXiv 2503.14476), long answers count in full
  kConstant,  // 1 / (N C), C a constant (the most tokens of an answer): Dr. GRPO, no bias by length
};
Average parse_average(std::string_view name);  // sequence, token, constant; Error{kBadInput}

// The weight of each token of every answer, by the answers' lengths in tokens, [answers].
std::vector<double> token_weights(std::span<const int64_t> lengths, Average average, int64_t constant);

}  // namespace hadal::posttrain
