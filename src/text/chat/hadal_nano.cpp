// Our own small models (train/export_model.cpp writes the same as Jinja): V3's envelope; tools one JSON
// object a line behind the system text, calls and results as V3.1 has them.
#include "text/chat/deepseek_turns.h"
#include "text/chat/formats.h"
#include "text/chat/tool_json.h"

namespace hadal::text {

namespace {

std::string advertise(std::span<const ToolDefinition> tools) {
  std::string out(kNanoBeforeTools);
  for (const ToolDefinition& tool : tools) out += "\n" + tool_json(tool);
  return out;
}

constexpr DeepSeekTurns kTurns = {.wrap_results = false, .advertise_tools = advertise};

}  // namespace

const ChatFormat kHadalNano = {.name = "hadal-nano",
                               .about = "models trained by hadal pretrain",
                               .tools = ToolSyntax::kPlain,
                               .turns = &kTurns};

}  // namespace hadal::text
