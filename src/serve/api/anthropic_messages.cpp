// POST /messages and /messages/count_tokens, as Anthropic's clients speak. Usage is counted as DeepSeek's
// endpoint counts it: input_tokens are those that were not in the cache.
#include <fmt/format.h>

#include "serve/api/anthropic_error.h"
#include "serve/api/anthropic_request.h"
#include "serve/api/auth.h"
#include "serve/api/generation.h"
#include "serve/api/ids.h"
#include "serve/api/json_text.h"
#include "serve/api/model_names.h"

namespace hadal::serve::api {

using base::Json;
using engine::Finish;

namespace {

const char* stop_reason(const Choice& choice) {
  if (choice.finish == Finish::kLength) return "max_tokens";
  if (choice.finish != Finish::kStop) return "pause_turn";  // the server stopped it; it can be asked to go on
  if (!choice.calls.empty()) return "tool_use";
  return choice.stop_string.empty() ? "end_turn" : "stop_sequence";
}

Json stop_sequence(const Choice& choice) {
  return choice.stop_string.empty() ? Json(nullptr) : Json(choice.stop_string);
}

Json usage_json(const engine::Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens - usage.cached_tokens},
          {"cache_creation_input_tokens", 0},
          {"cache_read_input_tokens", usage.cached_tokens},
          {"output_tokens", usage.completion_tokens}};
}

// `object` with one more member, whose JSON stays as it is.
std::string with_member(const Json& object, const std::string& name, std::string_view json) {
  std::string text = base::dump_json(object);
  text.back() = ',';  // for '}'
  return text += fmt::format("\"{}\":{}}}", name, json);
}

// As the model wrote it, its keys in their order: what comes back is then as near to it as can be.
std::string tool_use(const text::ToolCall& call) {
  const bool object = Json::parse(call.arguments, nullptr, false).is_object();
  return with_member({{"type", "tool_use"}, {"id", call.id}, {"name", call.name}}, "input",
                     object ? call.arguments : "{}");
}

class MessageWriter final : public AnswerWriter {
 public:
  MessageWriter(std::string model, int64_t prompt_tokens) : prompt_tokens_(prompt_tokens) {
    message_ = {{"id", make_id("msg_")},     {"type", "message"},        {"role", "assistant"},
                {"model", std::move(model)}, {"content", Json::array()}, {"stop_reason", nullptr},
                {"stop_sequence", nullptr}};
  }

  std::string whole(const std::vector<Choice>& choices) override {
    const Choice& choice = choices[0];
    std::vector<std::string> content;
    if (!choice.reasoning.empty()) {
      content.push_back(base::dump_json(
          {{"type", "thinking"}, {"thinking", choice.reasoning}, {"signature", message_["id"]}}));
    }
    if (!choice.text.empty()) content.push_back(base::dump_json({{"type", "text"}, {"text", choice.text}}));
    for (const text::ToolCall& call : choice.calls) content.push_back(tool_use(call));
    Json json = message_;
    json.erase("content");
    json["stop_reason"] = stop_reason(choice);
    json["stop_sequence"] = stop_sequence(choice);
    json["usage"] = usage_json(choice.usage);
    return with_member(json, "content", fmt::format("[{}]", fmt::join(content, ",")));
  }

  std::string opening() override {
    engine::Usage usage;
    usage.prompt_tokens = prompt_tokens_;  // what of it was cached is not known yet
    Json message = message_;
    message["usage"] = usage_json(usage);
    return event({{"type", "message_start"}, {"message", std::move(message)}}) + event({{"type", "ping"}});
  }

  std::string piece(const std::vector<Choice>& choices, size_t /*index*/,
                    const engine::Event& said) override {
    std::string bytes;
    if (!said.reasoning.empty()) {
      bytes += open(Block::kThinking, {{"type", "thinking"}, {"thinking", ""}, {"signature", ""}});
      bytes += text_delta("thinking", said.reasoning);
    }
    if (!said.text.empty()) {
      bytes += open(Block::kText, {{"type", "text"}, {"text", ""}});
      bytes += text_delta("text", said.text);
    }
    for (const text::OutputEvent& part : said.tool_calls) bytes += call_part(choices[0], part);
    return bytes;
  }

  std::string closing(const std::vector<Choice>& choices) override {
    const Choice& choice = choices[0];
    std::string bytes = close();
    bytes +=
        event({{"type", "message_delta"},
               {"delta", {{"stop_reason", stop_reason(choice)}, {"stop_sequence", stop_sequence(choice)}}},
               {"usage", usage_json(choice.usage)}});
    return bytes += event({{"type", "message_stop"}});
  }

  std::string broken(const ApiError& error) override {
    return server_sent_event(anthropic_error_body(error), "error");
  }

  http::Response refusal(const ApiError& error) override { return anthropic_error_response(error); }

 private:
  enum class Block { kNone, kThinking, kText, kTool };

  static std::string event(const Json& json) {
    return server_sent_event(json, json["type"].get_ref<const std::string&>());
  }

  // Makes a block of that kind the open one; a tool's is always a new one.
  std::string open(Block kind, Json block) {
    if (block_ == kind && kind != Block::kTool) return {};
    std::string bytes = close();
    block_ = kind;
    return bytes +
           event({{"type", "content_block_start"}, {"index", index_}, {"content_block", std::move(block)}});
  }

  std::string delta(Json delta) const {
    return event({{"type", "content_block_delta"}, {"index", index_}, {"delta", std::move(delta)}});
  }

  // delta() of {kind: text, "type": kind_delta}, as text.
  std::string text_delta(const char* kind, std::string_view text) const {
    return fmt::format(
        "event: content_block_delta\ndata: {{\"delta\":{{\"{0}\":{1},\"type\":\"{0}_delta\"}},"
        "\"index\":{2},\"type\":\"content_block_delta\"}}\n\n",
        kind, json_string(text), index_);
  }

  std::string close() {
    if (block_ == Block::kNone) return {};
    std::string bytes;
    if (block_ == Block::kThinking)
      bytes = delta({{"type", "signature_delta"}, {"signature", message_["id"]}});
    block_ = Block::kNone;
    return bytes + event({{"type", "content_block_stop"}, {"index", index_++}});
  }

  std::string call_part(const Choice& choice, const text::OutputEvent& part) {
    using Kind = text::OutputEvent::Kind;
    if (part.kind == Kind::kCallBegin && calls_ < choice.calls.size()) {
      const text::ToolCall& call = choice.calls[calls_++];
      return open(Block::kTool,
                  {{"type", "tool_use"}, {"id", call.id}, {"name", call.name}, {"input", Json::object()}});
    }
    if (part.kind == Kind::kCallArguments && block_ == Block::kTool) {
      return delta({{"type", "input_json_delta"}, {"partial_json", part.text}});
    }
    return part.kind == Kind::kCallEnd ? close() : std::string();
  }

  Json message_;
  int64_t prompt_tokens_;
  Block block_ = Block::kNone;
  int64_t index_ = 0;  // of the open block, or of the next one
  size_t calls_ = 0;   // begun
};

}  // namespace

void anthropic_messages(const Call& call) {
  ChatRequest request = read_anthropic_request(parse_body(call.request.body), call.request.body);
  const NamedModel model = find_model_leniently(call.service, request.options.model);
  check_model(call, model);
  check_time_limit(call);
  PreparedChat chat = prepare_chat(call, model, request);
  auto writer = std::make_unique<MessageWriter>(model.id, static_cast<int64_t>(chat.request.prompt.size()));
  generate(call, model, std::move(chat.request), 1, request.options.stream, std::move(writer));
}

void anthropic_count_tokens(const Call& call) {
  ChatRequest request =
      read_anthropic_request(parse_body(call.request.body), call.request.body, /*counting=*/true);
  const NamedModel model = find_model_leniently(call.service, request.options.model);
  check_model(call, model);
  const PreparedChat chat = prepare_chat(call, model, request);
  http::Response response;
  response.body = base::dump_json({{"input_tokens", chat.request.prompt.size()}});
  count_tokenized(call, chat.request.prompt.size());
  call.exchange->respond(std::move(response));
}

}  // namespace hadal::serve::api
