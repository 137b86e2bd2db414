// Our own small models (train/export_model.cpp writes the same as Jinja): V3's envelope without tools.
#include "text/chat/deepseek_turns.h"
#include "text/chat/formats.h"

namespace hadal::text {

namespace {

bool write(const ChatFormat& format, PromptWriter& out, std::span<const Message> messages,
           const ChatOptions& options) {
  return write_deepseek_turns({}, format, out, messages, options);
}

}  // namespace

const ChatFormat kHadalNano = {
    .name = "hadal-nano", .about = "models trained by hadal pretrain", .write = write};

}  // namespace hadal::text
