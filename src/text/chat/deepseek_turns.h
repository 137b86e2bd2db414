// The envelope that V3, R1, V3.1 and the distills share:
//   <bos>{system}<｜User｜>{user}<｜Assistant｜>{assistant}<eos><｜User｜>...
// and what differs between them.
#pragma once

#include <string>

#include "text/chat/chat_format.h"

namespace hadal::text {

struct DeepSeekTurns {
  bool last_system_only = false;  // else all system messages, joined by "\n\n"
  std::string_view after_header =
      {};  // a control token after each <｜Assistant｜> of the history (V3.1: </think>)
  std::string_view reasoning_break =
      {};                        // what separates <think> and </think> from text in the model's own answers
  bool drop_reasoning = false;   // history keeps only what follows </think>
  bool opens_reasoning = false;  // a prompt for an answer ends in <think>, or </think> where that is off
  bool wrap_results = true;  // results within <｜tool▁outputs▁begin｜> ... <｜tool▁outputs▁end｜>
  std::string (*advertise_tools)(std::span<const ToolDefinition> tools) = nullptr;  // follows the system text
  std::string_view tool_rules = {};  // the format's own words behind the tools; markers in them are tokens
};

// The `write` of a format that has `turns`.
bool write_deepseek_turns(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
                          const ChatOptions& options);

// The `answer` of such a format.
void write_deepseek_answer(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
                           bool in_reasoning);

// Tool definitions as in DeepSeek-V3-0324's example: one ```json block each, four spaces of indent.
std::string advertise_tools_as_json(std::span<const ToolDefinition> tools);

}  // namespace hadal::text
