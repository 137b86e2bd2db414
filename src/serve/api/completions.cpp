// POST /completions: the text that follows a text.
#include "serve/api/completions.h"

#include <fmt/format.h>

#include <limits>

#include "serve/api/generation.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

using base::Json;

namespace {

// `number` is an integer. Those past 2^63 are unsigned ones: as signed they would pass for negative.
bool is_token_id(const Json& number) {
  constexpr auto kLast = std::numeric_limits<text::TokenId>::max();
  if (number.is_number_unsigned()) return number.get<uint64_t>() <= uint64_t{kLast};
  const auto id = number.get<int64_t>();
  return id >= 0 && id <= kLast;
}

void read_prompt(const Json& prompt, TextRequest& request) {
  if (prompt.is_string()) {
    request.prompt = prompt.get<std::string>();
    return;
  }
  if (!prompt.is_array())
    throw wrong_type("prompt", "string, array of one string or array of token ids", prompt);
  if (prompt.empty()) throw bad_value("prompt", "the array is empty");
  if (prompt.size() == 1 && prompt[0].is_string()) {
    request.prompt = prompt[0].get<std::string>();
    return;
  }
  for (size_t i = 0; i < prompt.size(); ++i) {
    const std::string path = fmt::format("prompt[{}]", i);
    if (prompt[i].is_string()) throw bad_value(path, "this server answers one prompt per request");
    if (!prompt[i].is_number_integer()) throw wrong_type(path, "token id", prompt[i]);
    // Whether the vocabulary has it is for the engine to say; here it must fit its type.
    if (!is_token_id(prompt[i])) throw bad_value(path, prompt[i].dump() + " is not a token id");
    request.tokens.push_back(prompt[i].get<text::TokenId>());
  }
}

Json piece(const std::string& text, const char* finish_reason) {
  return {{"text", text},
          {"index", 0},
          {"logprobs", nullptr},
          {"finish_reason", finish_reason != nullptr ? Json(finish_reason) : Json(nullptr)}};
}

Json whole(const Said& said, const char* finish_reason) { return piece(said.text, finish_reason); }

constexpr AnswerShape kShape{"cmpl-", "text_completion", "text_completion", whole, piece, nullptr, nullptr};

}  // namespace

TextRequest read_text_request(const Json& body) {
  const Fields fields(body);
  TextRequest request;
  read_prompt(fields.required("prompt"), request);
  request.echo = fields.boolean("echo").value_or(false);
  if (!fields.string("suffix").value_or("").empty()) {
    throw ApiError(400, "unsupported_parameter", "suffix: filling in the middle is not supported", "suffix");
  }
  request.options = read_completion_options(fields);
  return request;
}

void completions(const Call& call) {
  TextRequest request = read_text_request(parse_body(call.request.body));
  check_model(call.service, request.options.model);
  engine::Request to_engine;
  if (request.tokens.empty()) {
    check_prompt_bytes(call.service, request.prompt.size());
    to_engine = engine::text_request(call.service.engine, request.prompt);
    if (to_engine.prompt.empty()) throw bad_value("prompt", "the prompt is empty");
  } else {
    if (request.echo) request.prompt = call.service.engine.tokenizer()->decode(request.tokens);
    to_engine.prompt = std::move(request.tokens);
  }
  std::string echo = request.echo ? std::move(request.prompt) : std::string();
  generate(call, std::move(to_engine), std::move(request.options), kShape, std::move(echo));
}

}  // namespace hadal::serve::api
