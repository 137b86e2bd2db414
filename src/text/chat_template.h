// Conversations as token ids: DeepSeek-V3's format (reference: DeepSeek-V3 tokenizer_config.json
// chat_template).
//   <｜begin▁of▁sentence｜>{system}<｜User｜>{user}<｜Assistant｜>{assistant}<｜end▁of▁sentence｜>...
// Text from a user never becomes a control token: only the template writes those.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::text {

inline constexpr std::string_view kBos = "<｜begin▁of▁sentence｜>";
inline constexpr std::string_view kEos = "<｜end▁of▁sentence｜>";
inline constexpr std::string_view kPad = "<｜▁pad▁｜>";
inline constexpr std::string_view kUser = "<｜User｜>";
inline constexpr std::string_view kAssistant = "<｜Assistant｜>";

struct Message {
  std::string role;  // "system", "user" or "assistant"
  std::string content;
};

// The ids of the whole conversation, ending in <｜Assistant｜> when `add_generation_prompt`. Several system
// messages are joined by "\n\n". Throws Error{kBadInput} for an unknown role or a vocabulary without the
// tokens.
std::vector<TokenId> render_chat(const Tokenizer& tokenizer, std::span<const Message> messages,
                                 bool add_generation_prompt = true);

}  // namespace hadal::text
