// The functions that a request offers, and whether the model shall call them, as OpenAI's API has them.
#pragma once

#include <functional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "serve/api/fields.h"
#include "text/chat_template.h"

namespace hadal::serve::api {

inline constexpr size_t kMaxTools = 128;
inline constexpr size_t kMaxFunctionNameBytes = 64;

struct Tool {
  text::ToolDefinition definition;  // its parameters with their keys in the order in which they came
  bool strict = false;              // calls hold to the parameters' schema
};

struct ToolChoice {
  enum class Kind { kAuto, kNone, kRequired, kNamed };
  Kind kind = Kind::kAuto;
  std::string name;  // kNamed
};

// "tools": [{"type": "function", "function": {name, description, parameters, strict}}]. `raw` is the text
// that the request was parsed from. Throws ApiError.
std::vector<Tool> read_tools(const Fields& fields, std::string_view raw);

// The elements of "tools", at most kMaxTools; `read_one` gets an element and the text that it was parsed
// from, and adds what it offers.
std::vector<Tool> read_tool_list(
    const Fields& fields, std::string_view raw,
    const std::function<void(const Fields& tool, std::string_view raw, std::vector<Tool>& tools)>& read_one);

// Throws ApiError for an element of another type; one that names none is of `type`.
void check_tool_type(const Fields& tool, std::string_view type);

// One function: name, description, strict, and a JSON Schema as `schema`, which may be absent.
Tool read_function(const Fields& function, std::string_view raw, const char* schema = "parameters");

// "tool_choice": "none", "auto", "required" or {"type": "function", "function": {"name": ...}}.
ToolChoice read_tool_choice(const Fields& fields);

// Throws ApiError 400 for a choice that needs tools when there are none, or one that is not offered.
void check_tool_choice(const ToolChoice& choice, const std::vector<Tool>& tools);

}  // namespace hadal::serve::api
