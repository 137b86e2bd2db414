// From prompts to an answer, streamed or whole: the part that the generating endpoints share. How an answer
// is written is each dialect's own (AnswerWriter).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "serve/api/api_error.h"
#include "serve/api/model_names.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

// One of the answers to a request, as far as it has come.
struct Choice {
  std::string text;
  std::string reasoning;
  std::vector<text::ToolCall> calls;     // with ids that are made up here
  std::optional<engine::Finish> finish;  // not kError
  std::string stop_string;               // that ended it, if one did
  engine::Usage usage;
};

// Writes one request's answer: whole(), or opening(), any number of piece() and closing(). One thread at a
// time. Bytes of streams are server-sent events, ready to send.
class AnswerWriter {
 public:
  virtual ~AnswerWriter() = default;

  // Of a whole answer: more of choices[index], kept as they come: writing them takes its time.
  virtual void keep_logprobs(size_t index, std::span<const engine::TokenLogprob> tokens) {
    (void)index, (void)tokens;
  }
  virtual std::string whole(const std::vector<Choice>& choices) = 0;  // JSON

  virtual std::string opening() = 0;  // before anything was generated; perhaps empty
  // `event` is of choices[index] and is in it already; with event.finish the choice is complete.
  virtual std::string piece(const std::vector<Choice>& choices, size_t index, const engine::Event& event) = 0;
  virtual std::string closing(const std::vector<Choice>& choices) = 0;  // every choice is complete
  // The stream ends here because of `error`.
  virtual std::string broken(const ApiError& error) = 0;

  virtual http::Response refusal(const ApiError& error) = 0;
};

// "data: {...}" with an empty line behind it; with a name, "event: NAME" before it.
std::string server_sent_event(const base::Json& data, std::string_view name = {});

// Throws ApiError when a text of that many bytes cannot fit the context however its bytes are split: huge
// prompts are refused without tokenizing them.
void check_prompt_bytes(const ServedModel& served, size_t bytes);
// The same for so many tokens, which leave the context no room for one of an answer.
void check_prompt_tokens(const ServedModel& served, size_t tokens);

// Throws ApiError for an X-Request-Timeout-Ms that generate() would refuse: before the prompt is made.
void check_time_limit(const Call& call);

// Whose cache it is: the caller's key (its secret may be another tomorrow) and the user_id within it.
std::string tenant_of(const Call& call, const std::string& user_id);

// Submits `request` to the model once for each of `choices` (a given seed goes up by one with each) and
// answers `call` as they are generated; the client leaving cancels them. max_tokens is cut to what the
// context has room for. While a whole answer is under way the client gets empty lines, as DeepSeek's API
// sends them. The header X-Request-Timeout-Ms is the request's deadline: what was said until then is the
// answer, with finish_reason "insufficient_system_resource", and 503 when that is nothing. With a ledger the
// request is admitted by the caller's key, and its tokens are counted as they leave. Throws ApiError or Error
// when the request is refused; nothing has been answered then.
void generate(const Call& call, const NamedModel& model, engine::Request request, int choices, bool stream,
              std::unique_ptr<AnswerWriter> writer);

}  // namespace hadal::serve::api
