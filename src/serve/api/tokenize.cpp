// POST /tokenize and /detokenize: what the model's tokenizer makes of a text or a conversation, and back.
#include <fmt/format.h>

#include "serve/api/auth.h"
#include "serve/api/chat_completions.h"
#include "serve/api/completions.h"
#include "serve/api/generation.h"
#include "serve/api/model_names.h"

namespace hadal::serve::api {

using base::Json;

namespace {

void answer(const Call& call, const Json& json, size_t tokens) {
  http::Response response;
  response.body = base::dump_json(json);
  count_tokenized(call, tokens);
  call.exchange->respond(std::move(response));
}

}  // namespace

// {"prompt" or "text" or "content": TEXT, "add_special_tokens": bool} or {"messages": [...], "tools": ...} to
// {"tokens": [...], "count": N, "max_model_len": N}. With "with_pieces": true also the text of each.
void tokenize(const Call& call) {
  const Json body = parse_body(call.request.body);
  const Fields fields(body);
  const NamedModel model = find_model(call.service, fields.string("model").value_or(""));
  check_model(call, model);
  engine::Engine& engine = model.served.engine;
  const text::Tokenizer& tokenizer = *engine.tokenizer();
  std::vector<text::TokenId> tokens;
  if (fields.find("messages") != nullptr) {
    ChatRequest request = read_chat_request(body, call.request.body);
    tokens = prepare_chat(call, model, request).request.prompt;
  } else {
    const char* name = "prompt";
    for (const char* other : {"text", "content"}) {  // as other servers call it
      if (fields.find(other) != nullptr) name = other;
    }
    fields.required(name);
    const std::string text = *fields.string(name);
    check_prompt_bytes(model.served, text.size());
    const bool special = fields.boolean("add_special_tokens").value_or(false);
    note_prompt_text(call, text.size());
    tokens = special ? engine::text_request(engine, text).prompt : tokenizer.encode(text);
    note_prompt(call, tokens.size());
  }
  Json json = {{"tokens", tokens}, {"count", tokens.size()}, {"max_model_len", engine.info().context_tokens}};
  if (fields.boolean("with_pieces").value_or(false)) {
    json["pieces"] = Json::array();
    for (const text::TokenId id : tokens) json["pieces"].push_back(std::string(tokenizer.token_bytes(id)));
  }
  answer(call, json, tokens.size());
}

// {"tokens": [...]} to {"prompt": TEXT, "content": TEXT}.
void detokenize(const Call& call) {
  const Json body = parse_body(call.request.body);
  const Fields fields(body);
  const NamedModel model = find_model(call.service, fields.string("model").value_or(""));
  check_model(call, model);
  const std::vector<text::TokenId> tokens = read_token_ids(fields.required("tokens"), "tokens");
  note_prompt(call, tokens.size());
  const std::string text = model.served.engine.tokenizer()->decode(tokens);
  answer(call, {{"prompt", text}, {"content", text}}, tokens.size());
}

}  // namespace hadal::serve::api
