// POST /chat/completions.
#include "serve/api/chat_completions.h"

#include <fmt/format.h>

#include "base/raw_json.h"
#include "serve/api/auth.h"
#include "serve/api/json_text.h"
#include "serve/api/logprobs.h"
#include "serve/api/model_names.h"
#include "serve/api/openai_writer.h"

namespace hadal::serve::api {

using base::Json;

namespace {

std::string read_content(const Fields& message, const std::string& role) {
  const Json* content = message.find("content");
  if (content == nullptr) {
    if (role == "assistant") return {};  // null where it called tools
    message.required("content");
  }
  return read_text_parts(*content, message.path("content"));
}

text::ToolCall read_call(const Json& json, const std::string& path) {
  const Fields fields(json, path + ".");
  text::ToolCall call;
  call.id = fields.string("id").value_or("");
  const auto type = fields.string("type").value_or("function");
  if (type != "function") {
    throw bad_value(fields.path("type"), fmt::format("\"{}\" is not supported; only \"function\" is", type));
  }
  const Fields function(fields.required("function"), fields.path("function."));
  function.required("name");
  call.name = *function.string("name");
  check_word(call.name, kMaxFunctionNameBytes, function.path("name"));
  call.arguments = function.string("arguments").value_or("");
  if (call.arguments.empty()) call.arguments = "{}";
  return call;
}

std::vector<text::ToolCall> read_calls(const Fields& message) {
  std::vector<text::ToolCall> calls;
  const Json* list = message.find("tool_calls");
  if (list == nullptr) return calls;
  if (!list->is_array()) throw wrong_type(message.path("tool_calls"), "array", *list);
  if (list->size() > kMaxTools) {
    throw bad_value(message.path("tool_calls"),
                    fmt::format("{} calls; at most {} are allowed", list->size(), kMaxTools));
  }
  for (size_t i = 0; i < list->size(); ++i) {
    calls.push_back(read_call((*list)[i], message.path(fmt::format("tool_calls[{}]", i).c_str())));
  }
  return calls;
}

text::Message read_message(const Json& json, size_t index, bool last) {
  const Fields fields(json, fmt::format("messages[{}].", index));
  fields.required("role");
  text::Message message;
  message.role = *fields.string("role");
  if (message.role == "developer") message.role = "system";  // OpenAI's newer name
  const bool assistant = message.role == "assistant";
  if (message.role != "system" && message.role != "user" && message.role != "tool" && !assistant) {
    throw bad_value(
        fields.path("role"),
        fmt::format("\"{}\" is not supported; use system, user, assistant or tool", message.role));
  }
  message.content = read_content(fields, message.role);
  fields.string("name");  // DeepSeek's formats have no place for it
  if (assistant) {
    message.reasoning_content = fields.string("reasoning_content").value_or("");
    message.tool_calls = read_calls(fields);
    message.prefix = fields.boolean("prefix").value_or(false);
  } else if (message.role == "tool") {
    fields.required("tool_call_id");
    message.tool_call_id = *fields.string("tool_call_id");
  }
  if (message.prefix && (!last || !message.tool_calls.empty())) {
    throw bad_value(fields.path("prefix"), "only the last message, without tool_calls, can be a prefix");
  }
  return message;
}

class ChatWriter final : public OpenAiWriter {
 public:
  ChatWriter(const OpenAiEnvelope& envelope, std::shared_ptr<const text::Tokenizer> tokenizer, bool thinks,
             bool logprobs, int choices)
      : OpenAiWriter(envelope, envelope.stream ? "chat.completion.chunk" : "chat.completion"),
        tokenizer_(std::move(tokenizer)),
        thinks_(thinks),
        logprobs_(logprobs),
        choices_(choices),
        kept_(static_cast<size_t>(choices)) {}

  std::string opening() override {
    const char* delta = thinks_ ? R"({"content":null,"reasoning_content":"","role":"assistant"})"
                                : R"({"content":"","role":"assistant"})";
    std::string bytes;
    for (int i = 0; i < choices_; ++i) bytes += chunk(chunk_choice(static_cast<size_t>(i), delta));
    return bytes;
  }

  std::string piece(const std::vector<Choice>& choices, size_t index, const engine::Event& event) override {
    std::string bytes;
    std::string logprobs = kNull;
    if (logprobs_ && !event.logprobs.empty()) {
      logprobs = base::dump_json(chat_logprobs(*tokenizer_, event.logprobs, thinks_));
    }
    const auto say = [&](std::string_view delta) {
      bytes += chunk(chunk_choice(index, delta, std::exchange(logprobs, kNull)));
    };
    if (!event.reasoning.empty()) {
      say(fmt::format(R"({{"content":null,"reasoning_content":{}}})", json_string(event.reasoning)));
    }
    if (!event.text.empty()) say(content_delta(event.text));
    size_t call = first_call(choices[index], event);
    for (const text::OutputEvent& part : event.tool_calls) {
      if (const Json delta = call_delta(choices[index], call, part); !delta.is_null()) {
        say(base::dump_json(delta));
      }
    }
    if (logprobs != kNull) say(content_delta(""));  // their text is on its way
    if (event.finish) {
      const std::string reason = json_string(finish_reason(choices[index]));
      bytes += last_chunk(chunk_choice(index, content_delta(""), kNull, reason), choices);
    }
    return bytes;
  }

  void keep_logprobs(size_t index, std::span<const engine::TokenLogprob> tokens) override {
    if (logprobs_) kept_[index].insert(kept_[index].end(), tokens.begin(), tokens.end());
  }

 protected:
  std::string whole_logprobs(size_t index) override {
    if (!logprobs_) return "null";
    return lists_text(std::exchange(kept_[index], {}), [this](std::span<const engine::TokenLogprob> tokens) {
      return chat_logprobs(*tokenizer_, tokens, thinks_);
    });
  }

  Json whole_choice(const Choice& choice, size_t index) override {
    Json message = {{"role", "assistant"}, {"content", choice.text}};
    if (thinks_ || !choice.reasoning.empty()) message["reasoning_content"] = choice.reasoning;
    if (!choice.calls.empty()) {
      message["tool_calls"] = Json::array();
      for (size_t i = 0; i < choice.calls.size(); ++i) {
        Json call = call_header(choice.calls[i], i);
        call["function"]["arguments"] = choice.calls[i].arguments;
        message["tool_calls"].push_back(std::move(call));
      }
    }
    return {{"index", index}, {"message", std::move(message)}, {"finish_reason", finish_reason(choice)}};
  }

 private:
  static constexpr const char* kNull = "null";

  // All JSON text.
  static std::string chunk_choice(size_t index, std::string_view delta, std::string_view logprobs = kNull,
                                  std::string_view finish_reason = kNull) {
    return fmt::format(R"({{"delta":{},"finish_reason":{},"index":{},"logprobs":{}}})", delta, finish_reason,
                       index, logprobs);
  }

  std::string content_delta(std::string_view text) const {
    return fmt::format(R"({{"content":{}{}}})", json_string(text),
                       thinks_ ? R"(,"reasoning_content":null)" : "");
  }

  static Json call_header(const text::ToolCall& call, size_t index) {
    return {{"index", index},
            {"id", call.id},
            {"type", "function"},
            {"function", {{"name", call.name}, {"arguments", ""}}}};
  }

  // The call that the event's first part is about.
  static size_t first_call(const Choice& choice, const engine::Event& event) {
    size_t begun = 0;
    for (const text::OutputEvent& part : event.tool_calls) {
      begun += part.kind == text::OutputEvent::Kind::kCallBegin ? 1 : 0;
    }
    return choice.calls.size() - begun;
  }

  // `next` is the call that a kCallBegin would begin.
  static Json call_delta(const Choice& choice, size_t& next, const text::OutputEvent& part) {
    using Kind = text::OutputEvent::Kind;
    if (part.kind == Kind::kCallBegin) {
      const size_t index = next++;
      return {{"tool_calls", Json::array({call_header(choice.calls[index], index)})}};
    }
    if (part.kind == Kind::kCallArguments && next > 0) {
      return {{"tool_calls", Json::array({{{"index", next - 1}, {"function", {{"arguments", part.text}}}}})}};
    }
    return nullptr;
  }

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  bool thinks_;
  bool logprobs_;
  int choices_;
  std::vector<std::vector<engine::TokenLogprob>> kept_;  // of each choice of a whole answer
};

void read_logprobs(const Fields& fields, engine::SamplingOptions& sampling) {
  sampling.logprobs = fields.boolean("logprobs").value_or(false);
  if (const auto top = fields.integer("top_logprobs", 0, engine::kMaxTopLogprobs)) {
    if (!sampling.logprobs) throw bad_value("top_logprobs", "needs \"logprobs\": true");
    sampling.top_logprobs = static_cast<int>(*top);
  }
}

}  // namespace

ChatRequest read_chat_request(const Json& body, std::string_view raw) {
  const Fields fields(body);
  const Json& messages = fields.required("messages");
  if (!messages.is_array()) throw wrong_type("messages", "array", messages);
  if (messages.empty()) throw bad_value("messages", "at least one message is needed");
  ChatRequest request;
  for (size_t i = 0; i < messages.size(); ++i) {
    request.messages.push_back(read_message(messages[i], i, i + 1 == messages.size()));
  }
  request.tools = read_tools(fields, raw);
  request.tool_choice = read_tool_choice(fields);
  if (const auto effort = fields.string("reasoning_effort")) {
    request.thinking = effort_thinks(*effort, "reasoning_effort");
  }
  if (const auto thinking = read_thinking(fields)) request.thinking = thinking;
  request.options = read_completion_options(fields);
  read_logprobs(fields, request.options.sampling);
  if (const Json* format = fields.find("response_format")) {
    request.format = read_output_format(*format, base::raw_member(raw, "response_format"), "response_format");
  }
  return request;
}

void chat_completions(const Call& call) {
  ChatRequest request = read_chat_request(parse_body(call.request.body), call.request.body);
  const NamedModel model = find_model(call.service, request.options.model);
  check_model(call, model);
  check_time_limit(call);
  const bool logprobs = request.options.sampling.logprobs;
  PreparedChat chat = prepare_chat(call, model, request);
  const CompletionOptions& options = request.options;
  auto writer =
      std::make_unique<ChatWriter>(OpenAiEnvelope{model.id, options.stream, options.include_usage},
                                   model.served.engine.tokenizer(), chat.thinks, logprobs, options.choices);
  generate(call, model, std::move(chat.request), options.choices, options.stream, std::move(writer));
}

}  // namespace hadal::serve::api
