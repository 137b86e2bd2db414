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

// As a caller of OpenAI's API writes it.
Ordered as_offered(const ToolDefinition& tool) {
  Ordered function{{"name", tool.name}};
  if (!tool.description.empty()) function["description"] = tool.description;
  if (!tool.parameters.empty()) function["parameters"] = parameters_of(tool);
  return Ordered{{"type", "function"}, {"function", std::move(function)}};
}

}  // namespace

std::string respaced_json(std::string_view json) {
  std::string out;
  write_line(Ordered::parse(json), out);
  return out;
}

std::string parameters_json(const ToolDefinition& tool) {
  std::string out;
  write_line(parameters_of(tool), out);
  return out;
}

std::string tool_json(const ToolDefinition& tool) {
  std::string out;
  write_line(as_offered(tool), out);
  return out;
}

std::string indented_function_json(const ToolDefinition& tool) {
  return as_offered(tool).dump(4, ' ', false, Ordered::error_handler_t::replace);
}

std::string sorted_tools_json(std::span<const ToolDefinition> tools) {
  base::Json list = base::Json::array();  // this kind of object keeps its keys in order
  for (const ToolDefinition& tool : tools) list.push_back(base::parse_json(tool_json(tool), "chat tool"));
  return base::dump_json(list);
}

std::vector<CallArgument> call_arguments(const ToolCall& call) {
  const std::string& text = call.arguments.empty() ? "{}" : call.arguments;
  if (!base::parse_json(text, "arguments of " + call.name).is_object()) {
    throw_error(ErrorCode::kBadInput, "[chat] call of {}: its arguments are not a JSON object", call.name);
  }
  std::vector<CallArgument> out;
  const Ordered arguments = Ordered::parse(text);
  for (const auto& [key, value] : arguments.items()) {
    CallArgument argument{key, {}};
    if (value.is_string())
      argument.value = value.get<std::string>();
    else
      write_line(value, argument.value);
    out.push_back(std::move(argument));
  }
  return out;
}

ArgumentTypes::ArgumentTypes(std::span<const ToolDefinition> tools) {
  for (const ToolDefinition& tool : tools) {
    base::Json parameters;
    try {
      parameters = base::parse_json(tool.parameters, "parameters");
    } catch (const Error&) {
      continue;
    }
    const auto properties = parameters.is_object() ? parameters.find("properties") : parameters.end();
    if (!parameters.is_object() || properties == parameters.end() || !properties->is_object()) continue;
    for (const auto& [key, schema] : properties->items()) {
      if (schema.is_object() && schema.value("type", base::Json()) == "string") {
        strings_.emplace(tool.name, key);
      }
    }
  }
}

std::string ArgumentTypes::json(std::string_view function, std::string_view key,
                                std::string_view value) const {
  if (!strings_.contains({std::string(function), std::string(key)})) {
    try {
      return base::dump_json(base::parse_json(value, "value"));
    } catch (const Error&) {  // a string then
    }
  }
  return json_string(value);
}

std::string json_string(std::string_view text) { return scalar(Ordered(text)); }

std::string indented_tool_json(const ToolDefinition& tool) {
  const Ordered value{
      {"name", tool.name}, {"description", tool.description}, {"parameters", parameters_of(tool)}};
  return value.dump(4, ' ', false, Ordered::error_handler_t::replace);
}

}  // namespace hadal::text
