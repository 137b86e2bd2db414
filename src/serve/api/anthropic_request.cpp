#include "serve/api/anthropic_request.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/raw_json.h"

namespace hadal::serve::api {

using base::Json;

namespace {

// What the blocks of one message say.
struct Content {
  std::string text;
  std::string thinking;
  std::vector<text::ToolCall> calls;
  std::vector<text::Message> results;
};

void add_block(const Json& json, std::string_view raw, const std::string& path, bool assistant,
               Content& content) {
  const Fields block(json, path + ".");
  block.required("type");
  const std::string type = *block.string("type");
  if (type == "text") {
    block.required("text");
    content.text += *block.string("text");
  } else if (type == "thinking" && assistant) {
    content.thinking += block.string("thinking").value_or("");
  } else if (type == "tool_use" && assistant) {
    block.required("name");
    text::ToolCall call{block.string("id").value_or(""), *block.string("name"), "{}"};
    check_word(call.name, kMaxFunctionNameBytes, block.path("name"));
    if (const Json* input = block.find("input")) {
      if (!input->is_object()) throw wrong_type(block.path("input"), "object", *input);
      const std::string_view text = base::raw_member(raw, "input");
      call.arguments = text.empty() ? base::dump_json(*input) : std::string(text);
    }
    content.calls.push_back(std::move(call));
  } else if (type == "tool_result" && !assistant) {
    block.required("tool_use_id");
    text::Message result{"tool", "", {}, {}, *block.string("tool_use_id")};
    if (const Json* said = block.find("content"))
      result.content = read_text_parts(*said, block.path("content"));
    content.results.push_back(std::move(result));
  } else {
    throw bad_value(block.path("type"), fmt::format("\"{}\" is not supported in a message of the {}", type,
                                                    assistant ? "assistant" : "user"));
  }
}

void add_message(const Json& json, std::string_view raw, size_t index, bool last,
                 std::vector<text::Message>& messages) {
  const Fields fields(json, fmt::format("messages[{}].", index));
  fields.required("role");
  const std::string role = *fields.string("role");
  if (role != "user" && role != "assistant" && role != "system") {
    throw bad_value(fields.path("role"), fmt::format("\"{}\" is not supported; use user or assistant", role));
  }
  const bool assistant = role == "assistant";
  const Json& said = fields.required("content");
  Content content;
  if (said.is_string()) {
    content.text = said.get<std::string>();
  } else if (said.is_array()) {
    const auto raws = base::raw_elements(base::raw_member(raw, "content"));
    for (size_t i = 0; i < said.size(); ++i) {
      add_block(said[i], i < raws.size() ? raws[i] : "", fields.path(fmt::format("content[{}]", i).c_str()),
                assistant, content);
    }
  } else {
    throw wrong_type(fields.path("content"), "string or array of blocks", said);
  }
  const bool only_results = !content.results.empty() && content.text.empty();
  std::move(content.results.begin(), content.results.end(), std::back_inserter(messages));
  if (only_results) return;
  const bool prefix = assistant && last && content.calls.empty();
  messages.push_back(
      {role, std::move(content.text), std::move(content.thinking), std::move(content.calls), "", prefix});
}

ToolChoice read_anthropic_choice(const Fields& fields) {
  const Json* choice = fields.find("tool_choice");
  if (choice == nullptr) return {};
  const Fields inner(*choice, "tool_choice.");
  inner.required("type");
  const std::string type = inner.string("type").value_or("");
  if (type == "auto") return {};
  if (type == "none") return {ToolChoice::Kind::kNone, ""};
  if (type == "any") return {ToolChoice::Kind::kRequired, ""};
  if (type != "tool") {
    throw bad_value("tool_choice.type", fmt::format("\"{}\" is not auto, any, tool or none", type));
  }
  inner.required("name");
  return {ToolChoice::Kind::kNamed, *inner.string("name")};
}

std::string read_user_id(const Fields& fields) {
  const Json* metadata = fields.find("metadata");
  if (metadata == nullptr) return {};
  const Fields inner(*metadata, "metadata.");
  // Clients put whole sentences there; it only has to tell users apart.
  std::string user_id = inner.string("user_id").value_or("");
  if (user_id.size() > kMaxUserIdBytes) {
    throw bad_value("metadata.user_id", fmt::format("longer than {} bytes", kMaxUserIdBytes));
  }
  return user_id;
}

}  // namespace

ChatRequest read_anthropic_request(const Json& body, std::string_view raw, bool counting) {
  const Fields fields(body);
  ChatRequest request;
  if (const Json* system = fields.find("system")) {
    request.messages.push_back({"system", read_text_parts(*system, "system")});
  }
  const Json& messages = fields.required("messages");
  if (!messages.is_array()) throw wrong_type("messages", "array", messages);
  if (messages.empty()) throw bad_value("messages", "at least one message is needed");
  const auto raws = base::raw_elements(base::raw_member(raw, "messages"));
  for (size_t i = 0; i < messages.size(); ++i) {
    add_message(messages[i], i < raws.size() ? raws[i] : "", i, i + 1 == messages.size(), request.messages);
  }
  request.tools =
      read_tool_list(fields, raw, [](const Fields& tool, std::string_view text, std::vector<Tool>& tools) {
        check_tool_type(tool, "custom");
        tools.push_back(read_function(tool, text, "input_schema"));
      });
  request.tool_choice = read_anthropic_choice(fields);
  if (const Json* config = fields.find("output_config")) {
    const Fields inner(*config, "output_config.");
    if (const auto effort = inner.string("effort")) {
      effort_thinks(*effort, "output_config.effort");  // says how much, not whether
    }
    if (const Json* format = inner.find("format")) {
      const std::string_view text = base::raw_member(base::raw_member(raw, "output_config"), "format");
      request.format = read_output_format(*format, text, "output_config.format");
    }
  }
  request.thinking = read_thinking(fields);
  if (!counting) fields.required("max_tokens");
  request.options = read_completion_options(fields);
  request.options.choices = 1;
  request.options.sampling.stop = read_stop(fields, "stop_sequences");
  request.options.user_id = read_user_id(fields);
  return request;
}

}  // namespace hadal::serve::api
