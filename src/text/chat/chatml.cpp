// Plain ChatML, and Qwen2-Instruct's, which is the same with a default system message. No tools.
#include "text/chat/chatml_turns.h"
#include "text/chat/formats.h"
#include "text/chat/markers.h"

namespace hadal::text {

namespace {

constexpr ChatMlTurns kPlain = {};
constexpr ChatMlTurns kWithDefault = {.default_system = "You are a helpful assistant."};

}  // namespace

const ChatFormat kChatMl = {.name = "chatml",
                            .about = "plain ChatML",
                            .end_tokens = {kImEnd, kEndOfText},
                            .write = write_with<kPlain>,
                            .answer = answer_with<kPlain>};

const ChatFormat kQwen2 = {.name = "qwen2",
                           .about = "Qwen2-Instruct",
                           .end_tokens = {kImEnd, kEndOfText},
                           .write = write_with<kWithDefault>,
                           .answer = answer_with<kWithDefault>};

}  // namespace hadal::text
