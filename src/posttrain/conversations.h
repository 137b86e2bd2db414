// Conversations for training, as JSONL: one JSON object a line, in the form of OpenAI's fine-tuning files
// (docs/formats/conversations.md):
//   {"messages": [{"role": "user", "content": "..."}, {"role": "assistant", "content": "..."}], "tools":
//   [...]}
// with reasoning_content, tool_calls and "weight": 0 on assistant messages, and results from "tool".
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "text/chat_template.h"

namespace hadal::posttrain {

struct Conversation {
  int64_t line = 0;   // in its file, from 1
  uint64_t hash = 0;  // XXH3-64 of the line without the blanks around it
  std::vector<text::Message> messages;
  std::vector<bool> learn;  // of each message: an answer to learn from (an assistant's, weight not 0)
  std::vector<text::ToolDefinition> tools;
};

// Throws Error{kBadInput} with the reason alone: what is no JSON object, a field of the wrong type, messages
// in the wrong order (after system messages, user and assistant take turns; results follow calls, every call
// has its result; the last is the assistant's), no assistant turn to learn from.
Conversation parse_conversation(std::string_view line);

struct SkippedLine {
  int64_t line = 0;
  std::string reason;
};

struct ConversationFile {
  std::vector<Conversation> conversations;
  std::vector<SkippedLine> skipped;
};

inline constexpr size_t kMostLineBytes = size_t{16} << 20;

// Every line of a file; blank lines are left out. A bad line is an Error{kBadInput} "[sft] file:line:
// reason", or, with skip_bad, kept in `skipped`.
ConversationFile read_conversations(const std::string& path, bool skip_bad);

}  // namespace hadal::posttrain
