// Conversations for the tests of chat formats: messages, prompts as text, and what is wrong with one.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "text/chat/chat_format.h"
#include "vocabularies.h"

namespace hadal::text {

inline std::string text_of(std::string_view format, const std::vector<Message>& messages,
                           const ChatOptions& options = {}) {
  const auto tokenizer = tokenizer_for(format);
  return tokenizer->decode(render_prompt(find_chat_format(format), *tokenizer, messages, options).ids);
}

inline std::string error_of(std::string_view format, const std::vector<Message>& messages,
                            const ChatOptions& options = {}) {
  try {
    return "no error: " + text_of(format, messages, options);
  } catch (const Error& e) {
    return e.what();
  }
}

#define EXPECT_SAYS(message, part) EXPECT_NE((message).find(part), std::string::npos) << (message)

inline Message user(std::string text) { return {"user", std::move(text)}; }
inline Message answer(std::string text, std::string reasoning = "") {
  return {"assistant", std::move(text), std::move(reasoning)};
}
inline Message calls(std::string text, std::vector<ToolCall> tool_calls, std::string reasoning = "") {
  Message message = answer(std::move(text), std::move(reasoning));
  message.tool_calls = std::move(tool_calls);
  return message;
}
inline Message result(std::string text, std::string id = "") {
  Message message{"tool", std::move(text)};
  message.tool_call_id = std::move(id);
  return message;
}
inline Message prefix(std::string text, std::string reasoning = "") {
  Message message = answer(std::move(text), std::move(reasoning));
  message.prefix = true;
  return message;
}

}  // namespace hadal::text
