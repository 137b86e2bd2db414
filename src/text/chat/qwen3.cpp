// Qwen3 (tokenizer_config.json): ChatML with tools, no default system message and three ways to think:
// by a switch (Qwen3: <think>\n\n</think>\n\n at the prompt's end turns it off), never (Instruct-2507) and
// always (Thinking-2507: the prompt ends in <think>\n). QwQ-32B always thinks, too, and differs in one empty
// line.
#include "text/chat/chatml_turns.h"
#include "text/chat/formats.h"
#include "text/chat/markers.h"

namespace hadal::text {

namespace {

constexpr ChatMlTurns kSwitch = {.thinks = true};
constexpr ChatMlTurns kNever = {};
constexpr ChatMlTurns kAlways = {.thinks = true, .opens_reasoning = true};
constexpr ChatMlTurns kOfQwQ = {.thinks = true, .opens_reasoning = true, .break_before_tools = true};

}  // namespace

const ChatFormat kQwen3 = {.name = "qwen3",
                           .about = "Qwen3, thinking or not",
                           .tools = ToolSyntax::kJsonTagged,
                           .reasons = true,
                           .thinking_by_default = true,
                           .thinking_switch = true,
                           .end_tokens = {kImEnd, kEndOfText},
                           .write = write_with<kSwitch>,
                           .answer = answer_with<kSwitch>};

const ChatFormat kQwen3Instruct = {.name = "qwen3-instruct",
                                   .about = "Qwen3-Instruct-2507",
                                   .tools = ToolSyntax::kJsonTagged,
                                   .end_tokens = {kImEnd, kEndOfText},
                                   .write = write_with<kNever>,
                                   .answer = answer_with<kNever>};

const ChatFormat kQwen3Thinking = {.name = "qwen3-thinking",
                                   .about = "Qwen3-Thinking-2507",
                                   .tools = ToolSyntax::kJsonTagged,
                                   .reasons = true,
                                   .thinking_by_default = true,
                                   .end_tokens = {kImEnd, kEndOfText},
                                   .write = write_with<kAlways>,
                                   .answer = answer_with<kAlways>};

const ChatFormat kQwQ = {.name = "qwq",
                         .about = "QwQ-32B",
                         .tools = ToolSyntax::kJsonTagged,
                         .reasons = true,
                         .thinking_by_default = true,
                         .end_tokens = {kImEnd, kEndOfText},
                         .write = write_with<kOfQwQ>,
                         .answer = answer_with<kOfQwQ>};

}  // namespace hadal::text
