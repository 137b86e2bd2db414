// The envelope of ChatML, which Qwen's instruct models share:
//   <|im_start|>system\n{system}<|im_end|>\n<|im_start|>user\n{user}<|im_end|>\n<|im_start|>assistant\n
//   {answer}<|im_end|>\n...
// and what differs between them. Calls are <tool_call>\n{"name": ..., "arguments": ...}\n</tool_call>,
// results stand in a user's turn as <tool_response>\n...\n</tool_response>, tools behind the system text in
// the words that Qwen2.5 and Qwen3 share.
#pragma once

#include "text/chat/chat_format.h"

namespace hadal::text {

struct ChatMlTurns {
  std::string_view default_system = {};  // where no system message comes first; empty: no such turn
  // Answers behind the last user keep their reasoning, <think>\n{reasoning}\n</think>\n\n; the history drops
  // it.
  bool thinks = false;
  bool opens_reasoning = false;     // the prompt ends in <think>\n
  bool break_before_tools = false;  // an empty line before the tools without a system text, too
};

bool write_chatml(const ChatMlTurns& turns, PromptWriter& out, std::span<const Message> messages,
                  const ChatOptions& options);

// The last message as the model writes it behind its prompt.
void write_chatml_answer(const ChatMlTurns& turns, PromptWriter& out, std::span<const Message> messages,
                         bool in_reasoning);

// The `write` and `answer` of a format with these turns.
template <const ChatMlTurns& turns>
bool write_with(const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
                const ChatOptions& options) {
  return write_chatml(turns, out, messages, options);
}
template <const ChatMlTurns& turns>
void answer_with(const ChatFormat&, PromptWriter& out, std::span<const Message> messages, bool in_reasoning) {
  write_chatml_answer(turns, out, messages, in_reasoning);
}

}  // namespace hadal::text
