// Moonlight-16B-A3B-Instruct (its chat template, which Kimi-VL shares): no tools, no reasoning.
#include "text/chat/formats.h"
#include "text/chat/kimi_turns.h"
#include "text/chat/markers.h"

namespace hadal::text {

namespace {

constexpr KimiTurns kTurns = {.default_system = "You are a helpful assistant"};

bool write(const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
           const ChatOptions& options) {
  return write_kimi_turns(kTurns, out, messages, options);
}

void answer(const ChatFormat&, PromptWriter& out, std::span<const Message> messages, bool) {
  write_kimi_answer(kTurns, out, messages);
}

}  // namespace

const ChatFormat kMoonlight = {.name = "moonlight",
                               .about = "Moonlight-16B-A3B-Instruct",
                               .end_tokens = {kImEnd, "[EOS]", "[EOT]"},
                               .write = write,
                               .answer = answer};

}  // namespace hadal::text
