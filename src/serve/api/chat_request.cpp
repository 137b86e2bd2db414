#include "serve/api/chat_request.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>

#include "serve/api/auth.h"
#include "serve/api/generation.h"
#include "text/chat/markers.h"
#include "text/chat/prompt_writer.h"

namespace hadal::serve::api {

using base::Json;

namespace {

bool demands_call(const ToolChoice& choice) {
  return choice.kind == ToolChoice::Kind::kRequired || choice.kind == ToolChoice::Kind::kNamed;
}

// The tokens with which a call begins, up to where the model has something to say; without a name, up to it.
std::vector<text::TokenId> begin_call(const text::ChatFormat& format, const ServedModel& served,
                                      const ChatRequest& request) {
  const std::string& name = request.tool_choice.name;
  text::PromptWriter out(*served.engine.tokenizer());
  switch (format.tools) {
    case text::ToolSyntax::kNone:  // render_prompt has refused it
      break;
    case text::ToolSyntax::kJsonBlock:
      out.control_or_text(text::kToolCallsBegin);
      out.control_or_text(text::kToolCallBegin);
      out.text("function");
      out.control_or_text(text::kToolSep);
      if (!name.empty()) out.text(name + "\n```json\n");
      break;
    case text::ToolSyntax::kPlain:
      out.control_or_text(text::kToolCallsBegin);
      out.control_or_text(text::kToolCallBegin);
      if (name.empty()) break;
      out.text(name);
      out.control_or_text(text::kToolSep);
      break;
    case text::ToolSyntax::kKimi: {
      size_t before = 0;  // calls are numbered through the conversation
      for (const text::Message& message : request.messages) before += message.tool_calls.size();
      out.control_or_text(text::kKimiCallsBegin);
      out.control_or_text(text::kKimiCallBegin);
      out.text(name.empty() ? "functions." : fmt::format("functions.{}:{}", name, before));
      if (!name.empty()) out.control_or_text(text::kKimiArgumentBegin);
      break;
    }
    case text::ToolSyntax::kTagged:
      out.control_or_text(text::kTaggedCallBegin);
      out.text(name);
      break;
    case text::ToolSyntax::kJsonTagged:
      out.control_or_text(text::kTaggedCallBegin);
      out.text("\n{\"name\": \"");
      if (!name.empty()) out.text(name + "\", \"arguments\": ");
      break;
    case text::ToolSyntax::kJsonBare:
      out.text("{\"name\": \"");
      if (!name.empty()) out.text(name + "\", \"parameters\": ");
      break;
  }
  return out.finish();
}

// What the request asks for, as far as the model has the choice.
std::optional<bool> choose_thinking(const text::ChatFormat& format, const ChatRequest& request,
                                    std::optional<bool> named_thinking) {
  const bool wanted =
      request.thinking.value_or(named_thinking.value_or(format.thinking_by_default && format.reasons));
  if (!demands_call(request.tool_choice)) {
    return format.thinking_switch ? std::optional(wanted) : std::nullopt;
  }
  if (request.thinking.value_or(false) || (format.thinking_by_default && !format.thinking_switch)) {
    throw bad_value("tool_choice",
                    "a call cannot be demanded of a model that thinks first; use \"auto\", or turn thinking "
                    "off where the model can");
  }
  return format.thinking_switch ? std::optional(false) : std::nullopt;
}

engine::Guidance guide(engine::Engine& engine, const ChatRequest& request, bool offers) {
  const bool text = request.format.kind == OutputFormat::Kind::kText;
  if (demands_call(request.tool_choice)) {
    if (!text) throw bad_value("tool_choice", "a call cannot be demanded together with a response_format");
    if (!request.messages.empty() && request.messages.back().prefix)
      throw bad_value("tool_choice", "a call cannot be demanded where an answer has begun (prefix)");
  }
  return offers && text ? guide_calls(engine, request.tools, request.tool_choice)
                        : guide_answer(engine, request.format, "response_format");
}

size_t text_bytes(const ChatRequest& request) {
  size_t bytes = 0;
  for (const text::Message& message : request.messages) {
    bytes += message.content.size();
    for (const text::ToolCall& call : message.tool_calls) bytes += call.arguments.size();
  }
  for (const Tool& tool : request.tools) {
    bytes += tool.definition.description.size() + tool.definition.parameters.size();
  }
  return bytes;
}

}  // namespace

PreparedChat prepare_chat(const Call& call, const NamedModel& model, ChatRequest& request) {
  const ServedModel& served = model.served;
  check_tool_choice(request.tool_choice, request.tools);
  const size_t bytes = text_bytes(request);
  check_prompt_bytes(served, bytes);
  const text::ChatFormat* format = served.engine.chat_format();
  text::ChatOptions options;
  if (format != nullptr) options.thinking = choose_thinking(*format, request, model.thinking);
  const bool offers = !request.tools.empty() && request.tool_choice.kind != ToolChoice::Kind::kNone;
  std::vector<text::ToolDefinition> definitions;
  if (offers) {
    for (const Tool& tool : request.tools) definitions.push_back(tool.definition);
  }
  options.tools = definitions;
  engine::Guidance guidance;  // before the prompt, which is more work
  if (format != nullptr) guidance = guide(served.engine, request, offers);

  note_prompt_text(call, bytes);
  check_prompt_tokens(served, call.service.calls->recall(
                                  {tenant_of(call, request.options.user_id), served.id}, request.messages));
  PreparedChat chat;
  chat.request = engine::chat_request(served.engine, request.messages, options);
  note_prompt(call, chat.request.prompt.size());
  chat.thinks = format->reasons && options.thinking.value_or(format->thinking_by_default);
  chat.request.tools = offers;
  chat.request.stream_arguments = request.options.stream;
  chat.request.guidance = std::move(guidance);
  if (demands_call(request.tool_choice)) {
    const auto begun = begin_call(*format, served, request);
    chat.request.prompt.insert(chat.request.prompt.end(), begun.begin(), begun.end());
    chat.request.forced_tokens = begun.size();
  }
  chat.request.tenant = request.options.user_id;
  chat.request.sampling = std::move(request.options.sampling);
  if (chat.request.sampling.max_tokens == 0) {
    chat.request.sampling.max_tokens = chat.thinks ? kDefaultThinkingMaxTokens : kDefaultMaxTokens;
  }
  return chat;
}

bool effort_thinks(const std::string& effort, const std::string& param) {
  constexpr std::array<std::string_view, 7> kEfforts = {"minimal", "low", "medium", "high",
                                                        "xhigh",   "max", "ultra"};
  if (effort == "none") return false;
  if (std::find(kEfforts.begin(), kEfforts.end(), effort) == kEfforts.end()) {
    throw bad_value(param, fmt::format("\"{}\" is not \"low\", \"high\" or \"max\"", effort));
  }
  return true;
}

std::optional<bool> read_thinking(const Fields& fields) {
  const Json* thinking = fields.find("thinking");
  if (thinking == nullptr) return {};
  const Fields inner(*thinking, fields.path("thinking."));
  inner.required("type");
  const std::string type = *inner.string("type");
  if (type == "enabled") return true;
  if (type == "disabled") return false;
  if (type == "adaptive") return {};
  throw bad_value(inner.path("type"), fmt::format("\"{}\" is not \"enabled\" or \"disabled\"", type));
}

std::string read_text_parts(const Json& content, const std::string& path) {
  if (content.is_string()) return content.get<std::string>();
  if (!content.is_array()) throw wrong_type(path, "string or array of text parts", content);
  std::string text;
  for (size_t i = 0; i < content.size(); ++i) {
    const Fields part(content[i], fmt::format("{}[{}].", path, i));
    const auto type = part.string("type").value_or("");
    // /responses has two names for it.
    if (type != "text" && type != "input_text" && type != "output_text") {
      throw bad_value(part.path("type"), fmt::format("\"{}\" is not supported; only \"text\" is", type));
    }
    part.required("text");
    text += *part.string("text");
  }
  return text;
}

}  // namespace hadal::serve::api
