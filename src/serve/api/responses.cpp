// POST /responses, as OpenAI's newer clients speak; nothing is kept between requests.
#include <ctime>
#include <map>

#include "serve/api/auth.h"
#include "serve/api/generation.h"
#include "serve/api/ids.h"
#include "serve/api/model_names.h"
#include "serve/api/responses_request.h"

namespace hadal::serve::api {

using base::Json;
using engine::Finish;

namespace {

const char* status_of(const Choice& choice) {
  return choice.finish == Finish::kStop ? "completed" : "incomplete";
}

Json incomplete_details(const Choice& choice) {
  if (choice.finish == Finish::kStop) return nullptr;
  return {
      {"reason", choice.finish == Finish::kLength ? "max_output_tokens" : "insufficient_system_resource"}};
}

Json usage_json(const engine::Usage& usage) {
  return {{"input_tokens", usage.prompt_tokens},
          {"input_tokens_details", {{"cached_tokens", usage.cached_tokens}}},
          {"output_tokens", usage.completion_tokens},
          {"output_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens}};
}

// One entry of the answer's output, as it stands: a stretch of reasoning, text, or a call.
struct Item {
  enum class Kind { kReasoning, kMessage, kCall };
  Kind kind;
  std::string id;
  std::string text;  // of a call: its arguments
  std::string call_id = {};
  std::string name = {};
  std::string name_space = {};  // of the function, if any
  bool done = false;

  Json part() const {
    if (kind == Kind::kReasoning) return {{"type", "reasoning_text"}, {"text", text}};
    return {
        {"type", "output_text"}, {"text", text}, {"annotations", Json::array()}, {"logprobs", Json::array()}};
  }

  Json json() const {
    const char* status = done ? "completed" : "in_progress";
    if (kind == Kind::kCall) {
      Json json = {{"type", "function_call"}, {"id", id},        {"call_id", call_id}, {"name", name},
                   {"arguments", text},       {"status", status}};
      if (!name_space.empty()) json["namespace"] = name_space;
      return json;
    }
    Json content = Json::array();
    if (done) content.push_back(part());
    if (kind == Kind::kReasoning) {
      return {{"type", "reasoning"},
              {"id", id},
              {"summary", Json::array()},
              {"content", std::move(content)},
              {"status", status}};
    }
    return {{"type", "message"},
            {"id", id},
            {"role", "assistant"},
            {"content", std::move(content)},
            {"status", status}};
  }
};

class ResponseWriter final : public AnswerWriter {
 public:
  ResponseWriter(std::string model, Json echo, std::map<std::string, std::string> namespaces)
      : response_(std::move(echo)), namespaces_(std::move(namespaces)) {
    response_["id"] = make_id("resp_");
    response_["object"] = "response";
    response_["created_at"] = static_cast<int64_t>(std::time(nullptr));
    response_["model"] = std::move(model);
    response_["status"] = "in_progress";
    response_["error"] = nullptr;
    response_["incomplete_details"] = nullptr;
    response_["output"] = Json::array();
    response_["previous_response_id"] = nullptr;
    response_["store"] = false;
    response_["truncation"] = "disabled";
    response_["usage"] = nullptr;
  }

  std::string whole(const std::vector<Choice>& choices) override {
    const Choice& choice = choices[0];
    if (!choice.reasoning.empty())
      items_.push_back({Item::Kind::kReasoning, make_id("rs_"), choice.reasoning});
    if (!choice.text.empty() || choice.calls.empty()) {
      items_.push_back({Item::Kind::kMessage, make_id("msg_"), choice.text});
    }
    for (const text::ToolCall& call : choice.calls) {
      items_.push_back(call_item(call, call.arguments));
    }
    for (Item& item : items_) item.done = true;
    return base::dump_json(complete(choice));
  }

  std::string opening() override {
    std::string bytes = event("response.created", {{"response", response_}});
    return bytes += event("response.in_progress", {{"response", response_}});
  }

  std::string piece(const std::vector<Choice>& choices, size_t /*index*/,
                    const engine::Event& said) override {
    std::string bytes;
    if (!said.reasoning.empty()) {
      bytes += open(Item::Kind::kReasoning, "rs_");
      bytes += delta("response.reasoning_text.delta", said.reasoning);
    }
    if (!said.text.empty()) {
      bytes += open(Item::Kind::kMessage, "msg_");
      bytes += delta("response.output_text.delta", said.text);
    }
    for (const text::OutputEvent& part : said.tool_calls) bytes += call_part(choices[0], part);
    return bytes;
  }

  std::string closing(const std::vector<Choice>& choices) override {
    std::string bytes;
    if (items_.empty()) bytes += open(Item::Kind::kMessage, "msg_");
    bytes += close();
    const char* type = choices[0].finish == Finish::kStop ? "response.completed" : "response.incomplete";
    return bytes += event(type, {{"response", complete(choices[0])}});
  }

  std::string broken(const ApiError& error) override {
    response_["status"] = "failed";
    response_["error"] = {{"code", error.code()}, {"message", error.what()}};
    return event("response.failed", {{"response", response_}});
  }

  http::Response refusal(const ApiError& error) override { return error_response(error); }

 private:
  bool is_open() const { return !items_.empty() && !items_.back().done; }

  // Events are numbered: of two in one expression it would not be said which comes first.
  std::string event(const char* type, Json json) {
    json["type"] = type;
    json["sequence_number"] = sequence_++;
    return server_sent_event(json, type);
  }

  // What every event about the last item says.
  Json about_item(Json more = Json::object()) const {
    more["item_id"] = items_.back().id;
    more["output_index"] = items_.size() - 1;
    if (items_.back().kind != Item::Kind::kCall) more["content_index"] = 0;
    return more;
  }

  std::string added(Item item) {
    std::string bytes = close();
    items_.push_back(std::move(item));
    return bytes += event("response.output_item.added",
                          {{"output_index", items_.size() - 1}, {"item", items_.back().json()}});
  }

  std::string open(Item::Kind kind, const char* prefix) {
    if (is_open() && items_.back().kind == kind) return {};
    std::string bytes = added({kind, make_id(prefix), ""});
    return bytes += event("response.content_part.added", about_item({{"part", items_.back().part()}}));
  }

  std::string delta(const char* type, const std::string& text) {
    items_.back().text += text;
    Json json = about_item({{"delta", text}});
    if (items_.back().kind == Item::Kind::kMessage) json["logprobs"] = Json::array();
    return event(type, std::move(json));
  }

  std::string close() {
    if (!is_open()) return {};
    Item& item = items_.back();
    std::string bytes;
    if (item.kind == Item::Kind::kCall) {
      bytes = event("response.function_call_arguments.done",
                    about_item({{"arguments", item.text}, {"name", item.name}}));
    } else {
      const bool message = item.kind == Item::Kind::kMessage;
      Json json = about_item({{"text", item.text}});
      if (message) json["logprobs"] = Json::array();
      bytes = event(message ? "response.output_text.done" : "response.reasoning_text.done", std::move(json));
      bytes += event("response.content_part.done", about_item({{"part", item.part()}}));
    }
    item.done = true;
    return bytes +
           event("response.output_item.done", {{"output_index", items_.size() - 1}, {"item", item.json()}});
  }

  Item call_item(const text::ToolCall& call, std::string arguments) const {
    const auto found = namespaces_.find(call.name);
    return {Item::Kind::kCall, make_id("fc_"), std::move(arguments),
            call.id,           call.name,      found == namespaces_.end() ? "" : found->second};
  }

  std::string call_part(const Choice& choice, const text::OutputEvent& part) {
    using Kind = text::OutputEvent::Kind;
    if (part.kind == Kind::kCallBegin && calls_ < choice.calls.size()) {
      const text::ToolCall& call = choice.calls[calls_++];
      return added(call_item(call, ""));
    }
    if (part.kind == Kind::kCallArguments && is_open() && items_.back().kind == Item::Kind::kCall) {
      return delta("response.function_call_arguments.delta", part.text);
    }
    return part.kind == Kind::kCallEnd ? close() : std::string();
  }

  Json complete(const Choice& choice) const {
    Json json = response_;
    json["status"] = status_of(choice);
    json["incomplete_details"] = incomplete_details(choice);
    for (const Item& item : items_) json["output"].push_back(item.json());
    json["usage"] = usage_json(choice.usage);
    return json;
  }

  Json response_;
  std::map<std::string, std::string> namespaces_;  // ResponsesRequest's
  std::vector<Item> items_;
  int64_t sequence_ = 0;
  size_t calls_ = 0;  // begun
};

}  // namespace

void responses(const Call& call) {
  ResponsesRequest request = read_responses_request(parse_body(call.request.body), call.request.body);
  const NamedModel model = find_model(call.service, request.chat.options.model);
  check_model(call, model);
  check_time_limit(call);
  PreparedChat chat = prepare_chat(call, model, request.chat);
  auto writer =
      std::make_unique<ResponseWriter>(model.id, std::move(request.echo), std::move(request.namespaces));
  generate(call, model, std::move(chat.request), 1, request.chat.options.stream, std::move(writer));
}

}  // namespace hadal::serve::api
