// Kimi-K2-Instruct and -0905 (chat_template.jinja; Moonshot's tool_call_guidance.md): tools are declared in a
// turn of their own, and a call is named functions.NAME:NUMBER, counted through the conversation.
#include "text/chat/formats.h"
#include "text/chat/kimi_turns.h"
#include "text/chat/markers.h"

namespace hadal::text {

namespace {

constexpr KimiTurns kTurns = {.default_system = "You are Kimi, an AI assistant created by Moonshot AI.",
                              .after_default = "\n"};

bool write(const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
           const ChatOptions& options) {
  return write_kimi_turns(kTurns, out, messages, options);
}

void answer(const ChatFormat&, PromptWriter& out, std::span<const Message> messages, bool) {
  write_kimi_answer(kTurns, out, messages);
}

}  // namespace

const ChatFormat kKimiK2 = {.name = "kimi-k2",
                            .about = "Kimi-K2-Instruct",
                            .tools = ToolSyntax::kKimi,
                            .end_tokens = {kImEnd, "[EOS]", "[EOT]"},
                            .write = write,
                            .answer = answer};

}  // namespace hadal::text
