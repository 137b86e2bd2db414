// DeepSeek-V2, V2-Lite, Coder-V2 and V2.5 (base: the README of DeepSeek-V2):
//   <bos>{system}\n\nUser: {user}\n\nAssistant: {assistant}<eos>User: {user}\n\nAssistant:
// The roles are plain text, so a user can write them too. No blank after the last "Assistant:" (the small
// model answers in the wrong language otherwise).
#include "text/chat/formats.h"
#include "text/chat/prompt_writer.h"

namespace hadal::text {

namespace {

bool write(const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
           const ChatOptions& options) {
  out.control(kBos);
  bool answer_is_open = false;
  for (const Message& message : messages) {
    if (message.role == "system") {
      out.text(message.content + "\n\n");
    } else if (message.role == "user") {
      out.text("User: " + message.content + "\n\n");
    } else {
      // A prefix without text is where an answer begins: no blank yet.
      out.text(message.prefix && message.content.empty() ? "Assistant:" : "Assistant: " + message.content);
      answer_is_open = message.prefix;
      if (!answer_is_open) out.control(kEos);
    }
  }
  if (options.add_generation_prompt && !answer_is_open) out.text("Assistant:");
  return false;
}

void answer(const ChatFormat&, PromptWriter& out, std::span<const Message> messages, bool) {
  const Message& message = messages.back();
  out.text(" ");
  out.reasoning_as_text(message.reasoning_content);
  out.text(message.content);
  out.control(kEos);
}

}  // namespace

const ChatFormat kDeepSeekV2 = {
    .name = "deepseek-v2", .about = "DeepSeek-V2, V2-Lite, Coder-V2", .write = write, .answer = answer};

}  // namespace hadal::text
