// Kimi-K2-Thinking (chat_template.jinja): as Kimi-K2, and every answer begins with <think>, which the model
// opens by itself. Answers of the history have an empty one; between the calls of one answer it is kept.
#include "text/chat/formats.h"
#include "text/chat/kimi_turns.h"
#include "text/chat/markers.h"

namespace hadal::text {

namespace {

constexpr KimiTurns kTurns = {.default_system = "You are Kimi, an AI assistant created by Moonshot AI.",
                              .thinks = true};

bool write(const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
           const ChatOptions& options) {
  return write_kimi_turns(kTurns, out, messages, options);
}

void answer(const ChatFormat&, PromptWriter& out, std::span<const Message> messages, bool) {
  write_kimi_answer(kTurns, out, messages);
}

}  // namespace

const ChatFormat kKimiK2Thinking = {.name = "kimi-k2-thinking",
                                    .about = "Kimi-K2-Thinking",
                                    .tools = ToolSyntax::kKimi,
                                    .reasons = true,
                                    .thinking_by_default = true,
                                    .end_tokens = {kImEnd, "[EOS]", "[EOT]"},
                                    .write = write,
                                    .answer = answer};

}  // namespace hadal::text
