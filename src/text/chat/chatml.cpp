// Plain ChatML, and Qwen2-Instruct's, which is the same with a default system message. No tools.
#include "text/chat/chatml_turns.h"
#include "text/chat/formats.h"
#include "text/chat/markers.h"

namespace hadal::text {

namespace {

constexpr ChatMlTurns kPlain = {};
constexpr ChatMlTurns kWithDefault = {.default_system = "You are a helpful assistant."};

}  // namespace

const ChatFormat kChatMl = {
    .name = "chatml",
    .about = "plain ChatML",
    .end_tokens = {kImEnd, kEndOfText},
    .write = [](const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
                const ChatOptions& options) { return write_chatml(kPlain, out, messages, options); },
    .answer = [](const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
                 bool in_reasoning) { write_chatml_answer(kPlain, out, messages, in_reasoning); }};

const ChatFormat kQwen2 = {
    .name = "qwen2",
    .about = "Qwen2-Instruct",
    .end_tokens = {kImEnd, kEndOfText},
    .write = [](const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
                const ChatOptions& options) { return write_chatml(kWithDefault, out, messages, options); },
    .answer = [](const ChatFormat&, PromptWriter& out, std::span<const Message> messages,
                 bool in_reasoning) { write_chatml_answer(kWithDefault, out, messages, in_reasoning); }};

}  // namespace hadal::text
