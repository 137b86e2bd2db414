// POST /completions: the text that follows a text, or stands between two.
#include "serve/api/completions.h"

#include <fmt/format.h>

#include <limits>

#include "serve/api/auth.h"
#include "serve/api/json_text.h"
#include "serve/api/logprobs.h"
#include "serve/api/model_names.h"
#include "serve/api/openai_writer.h"

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
  if (prompt[0].is_string()) throw bad_value("prompt[0]", "this server answers one prompt per request");
  request.tokens = read_token_ids(prompt, "prompt");
}

class TextWriter final : public OpenAiWriter {
 public:
  TextWriter(const OpenAiEnvelope& envelope, std::shared_ptr<const text::Tokenizer> tokenizer, bool logprobs,
             int choices, std::string echo)
      : OpenAiWriter(envelope, "text_completion"),
        tokenizer_(std::move(tokenizer)),
        logprobs_(logprobs),
        offsets_(static_cast<size_t>(choices)),
        kept_(static_cast<size_t>(choices)),
        echo_(std::move(echo)) {}

  std::string opening() override {
    std::string bytes;
    for (size_t i = 0; i < offsets_.size() && !echo_.empty(); ++i) bytes += chunk(chunk_choice(i, echo_));
    return bytes;
  }

  std::string piece(const std::vector<Choice>& choices, size_t index, const engine::Event& event) override {
    std::string bytes;
    if (!event.text.empty() || (logprobs_ && !event.logprobs.empty())) {
      bytes +=
          chunk(logprobs_ ? chunk_choice(
                                index, event.text,
                                base::dump_json(text_logprobs(*tokenizer_, event.logprobs, offsets_[index])))
                          : chunk_choice(index, event.text));
    }
    if (event.finish) {
      bytes +=
          last_chunk(chunk_choice(index, "", "null", json_string(finish_reason(choices[index]))), choices);
    }
    return bytes;
  }

  void keep_logprobs(size_t index, std::span<const engine::TokenLogprob> tokens) override {
    if (logprobs_) kept_[index].insert(kept_[index].end(), tokens.begin(), tokens.end());
  }

 protected:
  std::string whole_logprobs(size_t index) override {
    if (!logprobs_) return "null";
    return lists_text(std::exchange(kept_[index], {}),
                      [this, index](std::span<const engine::TokenLogprob> tokens) {
                        return text_logprobs(*tokenizer_, tokens, offsets_[index]);
                      });
  }

  Json whole_choice(const Choice& choice, size_t index) override {
    return {{"text", echo_ + choice.text}, {"index", index}, {"finish_reason", finish_reason(choice)}};
  }

 private:
  static std::string chunk_choice(size_t index, std::string_view text, std::string_view logprobs = "null",
                                  std::string_view finish_reason = "null") {
    return fmt::format(R"({{"finish_reason":{},"index":{},"logprobs":{},"text":{}}})", finish_reason, index,
                       logprobs, json_string(text));
  }

  std::shared_ptr<const text::Tokenizer> tokenizer_;
  bool logprobs_;
  std::vector<int64_t> offsets_;                         // of each choice's next token, in characters
  std::vector<std::vector<engine::TokenLogprob>> kept_;  // of each choice of a whole answer
  std::string echo_;
};

void read_logprobs(const Fields& fields, engine::SamplingOptions& sampling) {
  const Json* logprobs = fields.find("logprobs");
  if (logprobs == nullptr || (logprobs->is_boolean() && !logprobs->get<bool>())) return;
  sampling.top_logprobs = static_cast<int>(*fields.integer("logprobs", 0, engine::kMaxTopLogprobs));
  sampling.logprobs = true;
}

}  // namespace

std::vector<text::TokenId> read_token_ids(const Json& list, const std::string& param) {
  if (!list.is_array()) throw wrong_type(param, "array of token ids", list);
  std::vector<text::TokenId> ids;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string path = fmt::format("{}[{}]", param, i);
    if (!list[i].is_number_integer()) throw wrong_type(path, "token id", list[i]);
    // Whether the vocabulary has it is for the engine to say; here it must fit its type.
    if (!is_token_id(list[i])) throw bad_value(path, list[i].dump() + " is not a token id");
    ids.push_back(list[i].get<text::TokenId>());
  }
  return ids;
}

TextRequest read_text_request(const Json& body) {
  const Fields fields(body);
  TextRequest request;
  read_prompt(fields.required("prompt"), request);
  request.echo = fields.boolean("echo").value_or(false);
  request.suffix = fields.string("suffix").value_or("");
  request.options = read_completion_options(fields);
  read_logprobs(fields, request.options.sampling);
  if (!request.suffix.empty() && !request.tokens.empty()) {
    throw bad_value("suffix", "needs a prompt that is text, not token ids");
  }
  if (request.echo && !request.suffix.empty()) throw bad_value("echo", "cannot be with a suffix");
  if (request.echo && request.options.sampling.logprobs) {
    throw bad_value("echo", "cannot be with logprobs: the prompt's are not computed");
  }
  return request;
}

void completions(const Call& call) {
  TextRequest request = read_text_request(parse_body(call.request.body));
  const NamedModel model = find_model(call.service, request.options.model);
  check_model(call, model);
  check_time_limit(call);
  engine::Engine& engine = model.served.engine;
  const size_t bytes = request.prompt.size() + request.suffix.size();
  check_prompt_bytes(model.served, bytes);
  note_prompt_text(call, bytes);
  engine::Request to_engine;
  if (!request.suffix.empty()) {
    to_engine.prompt = text::render_fim(*engine.tokenizer(), request.prompt, request.suffix);
  } else if (request.tokens.empty()) {
    to_engine = engine::text_request(engine, request.prompt);
    if (to_engine.prompt.empty()) throw bad_value("prompt", "the prompt is empty");
  } else {
    if (request.echo) request.prompt = engine.tokenizer()->decode(request.tokens);
    to_engine.prompt = std::move(request.tokens);
  }
  note_prompt(call, to_engine.prompt.size());
  const CompletionOptions& options = request.options;
  to_engine.tenant = options.user_id;
  to_engine.sampling = options.sampling;
  if (to_engine.sampling.max_tokens == 0) to_engine.sampling.max_tokens = kDefaultMaxTokens;
  auto writer = std::make_unique<TextWriter>(OpenAiEnvelope{model.id, options.stream, options.include_usage},
                                             engine.tokenizer(), options.sampling.logprobs, options.choices,
                                             request.echo ? std::move(request.prompt) : std::string());
  generate(call, model, std::move(to_engine), options.choices, options.stream, std::move(writer));
}

}  // namespace hadal::serve::api
