// JSON of tool definitions as Python's json.dumps writes it, non-ASCII letters kept: the order of keys is the
// caller's.
#pragma once

#include <set>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "text/chat_template.h"

namespace hadal::text {

// JSON text again on one line: {"a": 1, "b": [1, 2]}. `json` is valid.
std::string respaced_json(std::string_view json);

// {"a": 1, "b": [1, 2]} on one line. Throws Error{kBadInput} naming the tool when its parameters are not a
// JSON object.
std::string parameters_json(const ToolDefinition& tool);

// {"name": ..., "description": ..., "parameters": ...} over several lines, four spaces a level.
std::string indented_tool_json(const ToolDefinition& tool);

// {"type": "function", "function": {"name": ..., "description": ..., "parameters": ...}} on one line, as a
// caller of OpenAI's API writes it; what the tool has not is left out.
std::string tool_json(const ToolDefinition& tool);

// The same over several lines, four spaces a level.
std::string indented_function_json(const ToolDefinition& tool);

// All the tools as one list, without blanks and with the keys of every object in order.
std::string sorted_tools_json(std::span<const ToolDefinition> tools);

struct CallArgument {
  std::string key;
  std::string value;  // a string as its text, anything else as JSON
};

// The arguments of a call one by one. Throws Error{kBadInput} naming the function when they are not a JSON
// object.
std::vector<CallArgument> call_arguments(const ToolCall& call);

// {"a": 1, ...} from arguments as a model writes them. A value is a string where the tool's parameters say
// so, and where it is not JSON; else it is what its JSON says.
class ArgumentTypes {
 public:
  ArgumentTypes() = default;
  // Parameters that are not a JSON object say nothing.
  explicit ArgumentTypes(std::span<const ToolDefinition> tools);

  // `value` as JSON.
  std::string json(std::string_view function, std::string_view key, std::string_view value) const;

 private:
  std::set<std::pair<std::string, std::string>> strings_;  // function and key
};

std::string json_string(std::string_view text);  // with quotes

}  // namespace hadal::text
