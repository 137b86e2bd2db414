// JSON of tool definitions as Python's json.dumps writes it, non-ASCII letters kept: the order of keys is the
// caller's.
#pragma once

#include <string>

#include "text/chat_template.h"

namespace hadal::text {

// {"a": 1, "b": [1, 2]} on one line. Throws Error{kBadInput} naming the tool when its parameters are not a
// JSON object.
std::string parameters_json(const ToolDefinition& tool);

// {"name": ..., "description": ..., "parameters": ...} over several lines, four spaces a level.
std::string indented_tool_json(const ToolDefinition& tool);

}  // namespace hadal::text
