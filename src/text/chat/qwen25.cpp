// Qwen2.5-Instruct and Qwen2.5-Coder-Instruct (tokenizer_config.json): ChatML with a default system message
// and tools.
#include "text/chat/chatml_turns.h"
#include "text/chat/formats.h"
#include "text/chat/markers.h"

namespace hadal::text {

namespace {

constexpr ChatMlTurns kTurns = {.default_system =
                                    "You are Qwen, created by Alibaba Cloud. You are a helpful assistant."};

}  // namespace

const ChatFormat kQwen25 = {.name = "qwen2.5",
                            .about = "Qwen2.5-Instruct, Qwen2.5-Coder-Instruct",
                            .tools = ToolSyntax::kJsonTagged,
                            .end_tokens = {kImEnd, kEndOfText},
                            .write = write_with<kTurns>,
                            .answer = answer_with<kTurns>};

}  // namespace hadal::text
