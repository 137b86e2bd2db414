#include "serve/api/tools.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/raw_json.h"

namespace hadal::serve::api {

using base::Json;
using Kind = ToolChoice::Kind;

namespace {

std::string read_schema(const Fields& fields, const char* name, std::string_view raw) {
  const Json* schema = fields.find(name);
  if (schema == nullptr) return {};
  if (!schema->is_object()) throw wrong_type(fields.path(name), "object", *schema);
  if (base::has_too_many_keys(*schema)) {
    throw bad_value(fields.path(name),
                    fmt::format("an object of it has over {} keys", base::kMaxOrderedKeys));
  }
  const std::string_view text = base::raw_member(raw, name);
  return text.empty() ? base::dump_json(*schema) : std::string(text);
}

}  // namespace

Tool read_function(const Fields& function, std::string_view raw, const char* schema) {
  function.required("name");
  Tool tool;
  tool.definition.name = *function.string("name");
  check_word(tool.definition.name, kMaxFunctionNameBytes, function.path("name"));
  tool.definition.description = function.string("description").value_or("");
  tool.definition.parameters = read_schema(function, schema, raw);
  tool.strict = function.boolean("strict").value_or(false);
  return tool;
}

void check_tool_type(const Fields& tool, std::string_view type) {
  const auto asked = tool.string("type").value_or(std::string(type));
  if (asked != type) {
    throw bad_value(tool.path("type"), fmt::format("\"{}\" is not supported; only \"{}\" is", asked, type));
  }
}

std::vector<Tool> read_tool_list(
    const Fields& fields, std::string_view raw,
    const std::function<void(const Fields&, std::string_view, std::vector<Tool>&)>& read_one) {
  const Json* list = fields.find("tools");
  if (list == nullptr) return {};
  const std::string path = fields.path("tools");
  if (!list->is_array()) throw wrong_type(path, "array", *list);
  const auto check_number = [&](size_t number) {
    if (number <= kMaxTools) return;
    throw bad_value(path, fmt::format("{} functions; at most {} are allowed", number, kMaxTools));
  };
  check_number(list->size());
  std::vector<Tool> tools;
  const auto raws = base::raw_elements(base::raw_member(raw, "tools"));
  for (size_t i = 0; i < list->size(); ++i) {
    read_one(Fields((*list)[i], fmt::format("{}[{}].", path, i)), i < raws.size() ? raws[i] : "", tools);
    check_number(tools.size());
  }
  return tools;
}

std::vector<Tool> read_tools(const Fields& fields, std::string_view raw) {
  if (const Json* functions = fields.find("functions"); functions != nullptr && !functions->empty()) {
    throw ApiError(400, "invalid_request_error", "functions: use \"tools\" instead", "functions");
  }
  return read_tool_list(fields, raw, [](const Fields& tool, std::string_view text, std::vector<Tool>& tools) {
    check_tool_type(tool, "function");
    tools.push_back(read_function(Fields(tool.required("function"), tool.path("function.")),
                                  base::raw_member(text, "function")));
  });
}

ToolChoice read_tool_choice(const Fields& fields) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr) return {};
  if (choice->is_string()) {
    const auto& word = choice->get_ref<const std::string&>();
    if (word == "auto") return {};
    if (word == "none") return {Kind::kNone, ""};
    if (word == "required") return {Kind::kRequired, ""};
    throw bad_value("tool_choice",
                    fmt::format("\"{}\" is not \"none\", \"auto\", \"required\" or a function", word));
  }
  if (!choice->is_object()) throw wrong_type("tool_choice", "string or object", *choice);
  const Fields outer(*choice, "tool_choice.");
  const auto type = outer.string("type").value_or("function");
  if (type != "function") {
    throw bad_value("tool_choice.type", fmt::format("\"{}\" is not supported; only \"function\" is", type));
  }
  const Fields function(outer.required("function"), "tool_choice.function.");
  function.required("name");
  return {Kind::kNamed, *function.string("name")};
}

void check_tool_choice(const ToolChoice& choice, const std::vector<Tool>& tools) {
  if (choice.kind == Kind::kAuto || choice.kind == Kind::kNone) return;
  if (tools.empty()) throw bad_value("tool_choice", "asks for a call, and there are no tools");
  if (choice.kind != Kind::kNamed) return;
  const bool known = std::any_of(tools.begin(), tools.end(),
                                 [&](const Tool& tool) { return tool.definition.name == choice.name; });
  if (!known) throw bad_value("tool_choice", fmt::format("no tool is named \"{}\"", choice.name));
}

}  // namespace hadal::serve::api
