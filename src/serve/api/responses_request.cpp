#include "serve/api/responses_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <utility>

#include "base/raw_json.h"

namespace hadal::serve::api {

using base::Json;

namespace {

// The items of one answer come one by one: its reasoning, its text, its calls.
class ItemReader {
 public:
  explicit ItemReader(std::vector<text::Message>& messages) : messages_(messages) {}
  void add(const Json& json, size_t index);

 private:
  void add_message(const Fields& item);
  void add_call(const Fields& item);
  void add_reasoning(const Fields& item);

  std::vector<text::Message>& messages_;
  std::string reasoning_;  // of the answer that the next item begins
};

void ItemReader::add_call(const Fields& item) {
  item.required("name");
  item.required("call_id");
  text::ToolCall call{*item.string("call_id"), *item.string("name"), item.string("arguments").value_or("")};
  check_word(call.name, kMaxFunctionNameBytes, item.path("name"));
  if (call.arguments.empty()) call.arguments = "{}";
  // Calls of one answer are items of their own here, and so is the text before them.
  if (messages_.empty() || messages_.back().role != "assistant" || !reasoning_.empty()) {
    messages_.push_back({"assistant", "", std::exchange(reasoning_, {})});
  }
  messages_.back().tool_calls.push_back(std::move(call));
}

void ItemReader::add_message(const Fields& item) {
  item.required("role");
  std::string role = *item.string("role");
  if (role == "developer") role = "system";
  if (role != "system" && role != "user" && role != "assistant") {
    throw bad_value(item.path("role"),
                    fmt::format("\"{}\" is not supported; use system, user or assistant", role));
  }
  std::string reasoning = std::exchange(reasoning_, {});
  if (role != "assistant") reasoning.clear();
  messages_.push_back({std::move(role), read_text_parts(item.required("content"), item.path("content")),
                       std::move(reasoning)});
}

// Its text, where it came with one: summaries and what is encrypted say nothing here.
void ItemReader::add_reasoning(const Fields& item) {
  const Json* content = item.find("content");
  if (content == nullptr || !content->is_array()) return;
  for (const Json& part : *content) {
    if (!part.is_object() || part.value("type", Json()) != "reasoning_text") continue;
    const Json text = part.value("text", Json());
    if (text.is_string()) reasoning_ += text.get_ref<const std::string&>();
  }
}

void ItemReader::add(const Json& json, size_t index) {
  const Fields item(json, fmt::format("input[{}].", index));
  const std::string type = item.string("type").value_or("message");
  if (type == "message") {
    add_message(item);
  } else if (type == "function_call") {
    add_call(item);
  } else if (type == "function_call_output") {
    reasoning_.clear();
    item.required("call_id");
    messages_.push_back({"tool",
                         read_text_parts(item.required("output"), item.path("output")),
                         {},
                         {},
                         *item.string("call_id")});
  } else if (type == "reasoning") {
    add_reasoning(item);
  } else {
    throw bad_value(item.path("type"), fmt::format("\"{}\" is not supported", type));
  }
}

ToolChoice read_flat_choice(const Fields& fields) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr || !choice->is_object()) return read_tool_choice(fields);
  const Fields inner(*choice, "tool_choice.");
  if (inner.string("type").value_or("function") != "function") {
    throw bad_value("tool_choice.type", "only \"function\" is supported");
  }
  inner.required("name");
  return {ToolChoice::Kind::kNamed, *inner.string("name")};
}

bool runs_at_openai(std::string_view type) {
  constexpr std::array<std::string_view, 4> kHosted = {"web_search", "file_search", "code_interpreter",
                                                       "image_generation"};
  return std::ranges::any_of(kHosted, [&](std::string_view hosted) { return type.starts_with(hosted); });
}

void add_function(const Fields& tool, std::string_view raw, std::vector<Tool>& tools) {
  check_tool_type(tool, "function");
  tools.push_back(read_function(tool, raw));
}

// A function, a namespace of functions, or a tool that is not for us.
void read_tool(const Fields& tool, std::string_view raw, std::map<std::string, std::string>& namespaces,
               std::vector<Tool>& tools) {
  const std::string type = tool.string("type").value_or("function");
  if (runs_at_openai(type)) return;
  if (type != "namespace") return add_function(tool, raw, tools);
  tool.required("name");
  const std::string name = *tool.string("name");
  check_word(name, kMaxFunctionNameBytes, tool.path("name"));
  for (Tool& inner : read_tool_list(tool, raw, add_function)) {
    if (!namespaces.emplace(inner.definition.name, name).second) {
      throw bad_value(tool.path("tools"),
                      fmt::format("\"{}\" is in another namespace, too", inner.definition.name));
    }
    tools.push_back(std::move(inner));
  }
}

Json given(const Fields& fields, const char* name, Json otherwise) {
  const Json* value = fields.find(name);
  return value != nullptr ? *value : std::move(otherwise);
}

}  // namespace

ResponsesRequest read_responses_request(const Json& body, std::string_view raw) {
  const Fields fields(body);
  ResponsesRequest request;
  ChatRequest& chat = request.chat;
  if (fields.find("previous_response_id") != nullptr) {
    throw bad_value("previous_response_id", "nothing is kept here between requests; send the whole input");
  }
  if (const auto instructions = fields.string("instructions")) {
    chat.messages.push_back({"system", *instructions});
  }
  const Json& input = fields.required("input");
  if (input.is_string()) {
    chat.messages.push_back({"user", input.get<std::string>()});
  } else {
    if (!input.is_array()) throw wrong_type("input", "string or array of items", input);
    ItemReader reader(chat.messages);
    for (size_t i = 0; i < input.size(); ++i) reader.add(input[i], i);
  }
  if (chat.messages.empty()) throw bad_value("input", "at least one message is needed");
  chat.tools =
      read_tool_list(fields, raw, [&](const Fields& tool, std::string_view text, std::vector<Tool>& tools) {
        read_tool(tool, text, request.namespaces, tools);
      });
  chat.tool_choice = read_flat_choice(fields);
  if (const Json* reasoning = fields.find("reasoning")) {
    if (const auto effort = Fields(*reasoning, "reasoning.").string("effort")) {
      chat.thinking = effort_thinks(*effort, "reasoning.effort");
    }
  }
  if (const Json* text = fields.find("text")) {
    if (const Json* format = Fields(*text, "text.").find("format"))
      chat.format = read_output_format(*format, base::raw_member(base::raw_member(raw, "text"), "format"),
                                       "text.format");
  }
  chat.options = read_completion_options(fields);
  chat.options.choices = 1;
  if (const auto most = read_max_tokens(fields, "max_output_tokens"))
    chat.options.sampling.max_tokens = *most;

  request.echo = {{"instructions", given(fields, "instructions", nullptr)},
                  {"max_output_tokens", given(fields, "max_output_tokens", nullptr)},
                  {"metadata", given(fields, "metadata", Json::object())},
                  {"parallel_tool_calls", given(fields, "parallel_tool_calls", true)},
                  {"reasoning", given(fields, "reasoning", {{"effort", nullptr}, {"summary", nullptr}})},
                  {"temperature", given(fields, "temperature", 1.0)},
                  {"text", given(fields, "text", {{"format", {{"type", "text"}}}})},
                  {"tool_choice", given(fields, "tool_choice", "auto")},
                  {"tools", given(fields, "tools", Json::array())},
                  {"top_p", given(fields, "top_p", 1.0)},
                  {"user", given(fields, "user", nullptr)}};
  return request;
}

}  // namespace hadal::serve::api
