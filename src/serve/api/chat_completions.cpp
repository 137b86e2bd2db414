// POST /chat/completions.
#include "serve/api/chat_completions.h"

#include <fmt/format.h>

#include "serve/api/generation.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

using base::Json;

namespace {

std::string read_content(const Fields& message, const std::string& role) {
  const Json* content = message.find("content");
  if (content == nullptr) {
    if (role == "assistant") return {};  // null where it called tools
    message.required("content");
  }
  if (content->is_string()) return content->get<std::string>();
  if (!content->is_array())
    throw wrong_type(message.path("content"), "string or array of text parts", *content);
  std::string text;
  for (size_t i = 0; i < content->size(); ++i) {
    const Fields part((*content)[i], message.path(fmt::format("content[{}].", i).c_str()));
    const auto type = part.string("type").value_or("");
    if (type != "text") {
      throw bad_value(part.path("type"), fmt::format("\"{}\" is not supported; only \"text\" is", type));
    }
    part.required("text");
    text += *part.string("text");
  }
  return text;
}

text::Message read_message(const Json& json, size_t index) {
  const Fields fields(json, fmt::format("messages[{}].", index));
  fields.required("role");
  text::Message message;
  message.role = *fields.string("role");
  if (message.role == "developer") message.role = "system";  // OpenAI's newer name
  if (message.role != "system" && message.role != "user" && message.role != "assistant") {
    throw bad_value(fields.path("role"),
                    fmt::format("\"{}\" is not supported; use system, user or assistant", message.role));
  }
  if (fields.boolean("prefix").value_or(false)) {
    throw bad_value(fields.path("prefix"), "continuing an assistant's message is not supported");
  }
  message.content = read_content(fields, message.role);
  message.reasoning_content = fields.string("reasoning_content").value_or("");
  return message;
}

Json whole(const Said& said, const char* finish_reason) {
  Json message = {{"role", "assistant"}, {"content", said.text}};
  if (!said.reasoning.empty()) message["reasoning_content"] = said.reasoning;
  return {
      {"index", 0}, {"message", std::move(message)}, {"logprobs", nullptr}, {"finish_reason", finish_reason}};
}

Json piece_of(Json delta, const char* finish_reason) {
  return {{"index", 0},
          {"delta", std::move(delta)},
          {"logprobs", nullptr},
          {"finish_reason", finish_reason != nullptr ? Json(finish_reason) : Json(nullptr)}};
}

Json piece(const std::string& text, const char* finish_reason) {
  return piece_of({{"content", text}}, finish_reason);
}

// As DeepSeek streams it.
Json reasoning_piece(const std::string& reasoning) {
  return piece_of({{"content", nullptr}, {"reasoning_content", reasoning}}, nullptr);
}

Json opening() { return piece_of({{"role", "assistant"}, {"content", ""}}, nullptr); }

constexpr AnswerShape kShape{
    "chatcmpl-", "chat.completion", "chat.completion.chunk", whole, piece, reasoning_piece, opening};

}  // namespace

ChatRequest read_chat_request(const Json& body) {
  const Fields fields(body);
  const Json& messages = fields.required("messages");
  if (!messages.is_array()) throw wrong_type("messages", "array", messages);
  if (messages.empty()) throw bad_value("messages", "at least one message is needed");
  ChatRequest request;
  for (size_t i = 0; i < messages.size(); ++i) request.messages.push_back(read_message(messages[i], i));
  request.options = read_completion_options(fields);
  return request;
}

void chat_completions(const Call& call) {
  ChatRequest request = read_chat_request(parse_body(call.request.body));
  check_model(call.service, request.options.model);
  size_t bytes = 0;
  for (const text::Message& message : request.messages) bytes += message.content.size();
  check_prompt_bytes(call.service, bytes);
  generate(call, engine::chat_request(call.service.engine, request.messages), std::move(request.options),
           kShape);
}

}  // namespace hadal::serve::api
