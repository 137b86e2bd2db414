// What a conversation is made of, and the markers that DeepSeek's vocabularies have for it. The formats that
// turn conversations into token ids are in text/chat/; render_chat is the plain one of DeepSeek-V3 and our
// own models. Text from a user never becomes a control token: only a format writes those.
#pragma once

#include <memory>
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

// A call as the API has it.
struct ToolCall {
  std::string id;         // the caller's; results name it
  std::string name;       // of the function
  std::string arguments;  // JSON text, written as it is
};

// The tokens with which a model wrote an answer, without the one that ended it.
struct AnswerTokens {
  std::vector<TokenId> reasoning;  // up to and including </think>; empty: it did not reason
  std::vector<TokenId> answer;     // content and calls
};

struct Message {
  std::string role;  // "system", "user", "assistant" or "tool"
  std::string content;
  std::string reasoning_content = {};  // assistant: kept where a prefix goes on from it, and where the format
                                       // keeps it between the calls of one answer
  std::vector<ToolCall> tool_calls = {};  // assistant
  std::string tool_call_id = {};          // tool: whose result this is; empty: the next one in order
  bool prefix = false;                    // the last message, assistant: the answer goes on from its end
  // assistant: this is what the model itself wrote, and where the format keeps it these tokens are written
  // instead of the text, so that the prompt goes on from what was generated
  std::shared_ptr<const AnswerTokens> tokens = {};
};

struct ToolDefinition {
  std::string name;
  std::string description;
  std::string parameters;  // JSON Schema as text; empty for none
};

// The ids of the whole conversation in DeepSeek-V3's format (chat::kDeepSeekV3 without tools), ending in
// <｜Assistant｜> when `add_generation_prompt`. Several system messages are joined by "\n\n". Throws
// Error{kBadInput} for an unknown role or a vocabulary without the tokens.
std::vector<TokenId> render_chat(const Tokenizer& tokenizer, std::span<const Message> messages,
                                 bool add_generation_prompt = true);

}  // namespace hadal::text
