// One row a reward; the order is that of lists and errors.
#include <fmt/ranges.h>

#include <array>

#include "base/error.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

constexpr auto kKinds = std::to_array<RewardKind>({
    {"correct", "1 when the task's own verifier accepts the answer", make_correct_reward},
    {"exact", "1 when the answer is the reference's text, but case, white space and a full stop",
     make_exact_reward},
    {"numeric", "1 when the answer is the reference's number", make_numeric_reward},
    {"format", "1 for <think>...</think><answer>...</answer> and nothing else; `partial` for an answer alone",
     make_format_reward},
    {"language", "the share of the reasoning's words in `script`; all of the text with `whole`",
     make_language_reward},
    {"length", "1 up to `from` tokens, falling to 0 at `to`; 0 when it did not end", make_length_reward},
    {"program", "1 when the program passes the problem's tests in the sandbox; their share with `partial`",
     make_program_reward},
    {"http", "what the scorer at `url` says", make_http_reward},
    {"random", "a coin: 1 with `probability`; a control", make_random_reward},
    {"constant", "`value` for everything; a control", make_constant_reward},
});

}  // namespace

std::span<const RewardKind> reward_kinds() { return kKinds; }

std::unique_ptr<Reward> make_reward(std::string_view name, const base::Json& options) {
  std::vector<std::string_view> names;
  for (const RewardKind& kind : kKinds) {
    if (kind.name == name) return kind.make(options);
    names.push_back(kind.name);
  }
  throw_error(ErrorCode::kBadInput, "[reward] no reward '{}'; there are {}", name, fmt::join(names, ", "));
}

}  // namespace hadal::posttrain
