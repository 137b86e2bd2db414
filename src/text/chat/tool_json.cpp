#include "text/chat/tool_json.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json.h"

namespace hadal::text {

namespace {

using Ordered = nlohmann::ordered_json;

Ordered parameters_of(const ToolDefinition& tool) {
  if (tool.parameters.empty()) return {{"type", "object"}, {"properties", Ordered::object()}};
  // Checked for depth and errors by the bounded reader first.
  if (!base::parse_json(tool.parameters, "chat tool " + tool.name).is_object()) {
    throw_error(ErrorCode::kBadInput, "[chat] tool {}: its parameters are not a JSON object", tool.name);
  }
  return Ordered::parse(tool.parameters);
}

std::string scalar(const Ordered& value) {
  return value.dump(-1, ' ', false, Ordered::error_handler_t::replace);
}

void write_line(const Ordered& value, std::string& out) {
  if (!value.is_structured()) {
    out += scalar(value);
    return;
  }
  out += value.is_object() ? '{' : '[';
  bool first = true;
  for (const auto& [key, item] : value.items()) {
    if (!first) out += ", ";
    if (value.is_object()) out += scalar(Ordered(key)) + ": ";
    write_line(item, out);
    first = false;
  }
  out += value.is_object() ? '}' : ']';
}

}  // namespace

std::string parameters_json(const ToolDefinition& tool) {
  std::string out;
  write_line(parameters_of(tool), out);
  return out;
}

std::string indented_tool_json(const ToolDefinition& tool) {
  const Ordered value{
      {"name", tool.name}, {"description", tool.description}, {"parameters", parameters_of(tool)}};
  return value.dump(4, ' ', false, Ordered::error_handler_t::replace);
}

}  // namespace hadal::text
