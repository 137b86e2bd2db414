#include "serve/api/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <ctime>
#include <mutex>

#include "serve/api/auth.h"
#include "serve/api/ids.h"

namespace hadal::serve::api {

using engine::Event;
using engine::Finish;

namespace {

constexpr const char* kTimeoutHeader = "X-Request-Timeout-Ms";
constexpr int64_t kMaxTimeoutMs = 7 * 24 * 3600 * int64_t{1000};

// What a request's answer was sent, by the ledger's count, as its bytes leave.
class MeterReceipt final : public http::Receipt {
 public:
  MeterReceipt(std::shared_ptr<ledger::Meter> meter, const ledger::Tokens& total)
      : meter_(std::move(meter)), total_(total) {}
  void leaving(int socket, size_t bytes) override { meter_->sending(socket, bytes, total_); }
  void left() override { meter_->sent(); }

 private:
  const std::shared_ptr<ledger::Meter> meter_;
  const ledger::Tokens total_;
};

// The prompt counts once, however many choices: as usage_json() says it.
ledger::Tokens tokens_of(const std::vector<Choice>& choices) {
  ledger::Tokens tokens{choices[0].usage.prompt_tokens, choices[0].usage.cached_tokens, 0, 0};
  for (const Choice& choice : choices) {
    tokens.completion += choice.usage.completion_tokens;
    tokens.reasoning += choice.usage.reasoning_tokens;
  }
  return tokens;
}

// How the ledger calls an answer's end.
const char* status_of(const std::vector<Choice>& choices) {
  const char* status = "stop";
  for (const Choice& choice : choices) {
    if (choice.finish == Finish::kCancelled) return "cancelled";
    if (choice.finish == Finish::kLength || choice.finish == Finish::kDeadline) status = "length";
  }
  return status;
}

// One answer under way. Events come on the engine's thread; those that come before open() wait, so that a
// request of several choices that the engine refuses half-way has not been answered yet.
class Answer {
 public:
  Answer(std::shared_ptr<http::Exchange> exchange, size_t choices, bool stream,
         std::unique_ptr<AnswerWriter> writer, std::shared_ptr<ledger::Meter> meter,
         std::function<void(const ApiError&)> on_broken)
      : exchange_(std::move(exchange)),
        stream_(stream),
        on_broken_(std::move(on_broken)),
        writer_(std::move(writer)),
        meter_(std::move(meter)),
        choices_(choices) {}

  void open() {
    const std::lock_guard lock(mutex_);
    open_ = true;
    if (stream_) {
      exchange_->begin_stream({});
      if (auto bytes = writer_->opening(); !bytes.empty()) exchange_->write(std::move(bytes));
    } else {
      exchange_->hold({"application/json", {}, "\n"});
    }
    for (const auto& [index, event] : early_) add(index, event);
    early_.clear();
  }

  void take(size_t index, const Event& event) {
    const std::lock_guard lock(mutex_);
    if (open_)
      add(index, event);
    else
      early_.emplace_back(index, event);
  }

 private:
  void add(size_t index, const Event& event) {
    if (ended_) return;
    Choice& choice = choices_[index];
    choice.usage = event.usage;
    if (event.finish == Finish::kError) {
      return fail({500, "server_error", "generation failed: " + without_area(event.error)});
    }
    choice.reasoning += event.reasoning;
    choice.text += event.text;
    if (!stream_ && !event.logprobs.empty()) writer_->keep_logprobs(index, event.logprobs);
    for (const text::OutputEvent& part : event.tool_calls) add_call(choice, part);
    choice.finish = event.finish;
    choice.stop_string = event.stop_string;
    if (event.finish == Finish::kCancelled && !any_said()) {
      return fail({503, "server_overloaded", "the server stopped this request; try again"}, "cancelled");
    }
    if (event.finish == Finish::kDeadline && !any_said()) {
      return fail({503, "server_overloaded", "no answer within the request's time limit; try again later"});
    }
    if (event.finish) ++complete_;
    std::string bytes = stream_ ? writer_->piece(choices_, index, event) : "";
    ended_ = complete_ == choices_.size();
    if (stream_) {
      if (ended_) bytes += writer_->closing(choices_);
      auto receipt = bytes.empty() ? nullptr : make_receipt();
      if (ended_) finish(status_of(choices_), tokens_of(choices_));
      if (!bytes.empty()) exchange_->write(std::move(bytes), std::move(receipt));
      if (ended_) exchange_->end_stream();
    } else if (ended_) {
      http::Response response;
      response.body = writer_->whole(choices_);
      response.receipt = make_receipt();
      finish(status_of(choices_), tokens_of(choices_));
      exchange_->respond(std::move(response));
    }
  }

  std::shared_ptr<http::Receipt> make_receipt() const {
    if (!meter_) return nullptr;
    return std::make_shared<MeterReceipt>(meter_, tokens_of(choices_));
  }

  // Before the last bytes leave: who has them may ask for more at once.
  void finish(const char* status, const ledger::Tokens& total) {
    if (!meter_) return;
    meter_->finish(status, total);
    meter_.reset();
  }

  static void add_call(Choice& choice, const text::OutputEvent& part) {
    using Kind = text::OutputEvent::Kind;
    if (part.kind == Kind::kCallBegin) {
      choice.calls.push_back({make_call_id(choice.calls.size()), part.text, ""});
    } else if (part.kind == Kind::kCallArguments && !choice.calls.empty()) {
      choice.calls.back().arguments += part.text;
    }
  }

  bool any_said() const {
    return std::any_of(choices_.begin(), choices_.end(), [](const Choice& choice) {
      return !choice.text.empty() || !choice.reasoning.empty() || !choice.calls.empty();
    });
  }

  void fail(const ApiError& error, const char* status = "failed") {
    ended_ = true;
    finish(status, {});
    if (stream_ && error.status() == 500) on_broken_(error);
    if (!stream_) return exchange_->respond(writer_->refusal(error));
    exchange_->write(writer_->broken(error));
    exchange_->end_stream();
  }

  const std::shared_ptr<http::Exchange> exchange_;
  const bool stream_;
  const std::function<void(const ApiError&)> on_broken_;
  std::mutex mutex_;  // guards what follows
  const std::unique_ptr<AnswerWriter> writer_;
  std::shared_ptr<ledger::Meter> meter_;  // null: nothing is counted
  std::vector<Choice> choices_;
  std::vector<std::pair<size_t, Event>> early_;
  size_t complete_ = 0;
  bool open_ = false;
  bool ended_ = false;
};

[[noreturn]] void refuse_length(int64_t context, const std::string& tokens) {
  throw ApiError(
      400, "context_length_exceeded",
      fmt::format("This model's maximum context length is {} tokens. However, you requested {} tokens in "
                  "the prompt alone; shorten it.",
                  context, tokens));
}

// Whole answers are kept until their end.
void check_logprobs(const engine::SamplingOptions& sampling, int choices) {
  if (!sampling.logprobs) return;
  const int64_t entries = int64_t{choices} * sampling.max_tokens * (1 + sampling.top_logprobs);
  if (entries <= kMaxLogprobEntries) return;
  throw bad_value(
      "logprobs",
      fmt::format("n ({}) x max_tokens ({}) x (1 + top_logprobs) ({}) are {} log-probabilities; one "
                  "answer has at most {}: lower one of these, or stream",
                  choices, sampling.max_tokens, 1 + sampling.top_logprobs, entries, kMaxLogprobEntries));
}

// Whose cache it is: the caller's key (its secret may be another tomorrow) and the user_id within it.
std::string tenant_of(const Call& call, const std::string& user_id) {
  if (call.caller) return fmt::format("{}\n{}", call.caller->key_id, user_id);
  const std::string* authorization = call.request.header("authorization");
  const std::string* key = call.request.header("x-api-key");  // Anthropic's clients
  return fmt::format("{}\n{}\n{}", authorization ? *authorization : "", key ? *key : "", user_id);
}

// Notes an error that comes in the middle of a stream, whose status was 200.
std::function<void(const ApiError&)> error_noter(const Call& call) {
  LoggedError error{0, call.request_id, "", "", call.request.method, call.request.path, 0, "", ""};
  if (call.caller) {
    error.key_id = call.caller->key_id;
    error.key_name = call.caller->name;
  }
  return [errors = call.service.errors, error = std::move(error)](const ApiError& happened) mutable {
    error.at = static_cast<int64_t>(std::time(nullptr));
    error.status = happened.status();
    error.code = happened.code();
    error.message = happened.what();
    errors->add(std::move(error));
  };
}

// Seconds from now: what X-Request-Timeout-Ms says, else what the server allows; 0: as long as it takes.
double time_limit_of(const Call& call) {
  const std::string* given = call.request.header(kTimeoutHeader);
  if (given == nullptr) return call.service.request_seconds;
  int64_t milliseconds = 0;
  const char* end = given->data() + given->size();
  const auto [stopped, error] = std::from_chars(given->data(), end, milliseconds);
  if (error != std::errc() || stopped != end || milliseconds < 1 || milliseconds > kMaxTimeoutMs) {
    throw bad_value(kTimeoutHeader, fmt::format("\"{}\" is not a number of milliseconds from 1 to {}", *given,
                                                kMaxTimeoutMs));
  }
  const double seconds = static_cast<double>(milliseconds) / 1000;
  const double most = call.service.request_seconds;
  return most > 0 ? std::min(seconds, most) : seconds;
}

}  // namespace

std::string server_sent_event(const base::Json& data, std::string_view name) {
  const std::string json = base::dump_json(data);
  return name.empty() ? fmt::format("data: {}\n\n", json)
                      : fmt::format("event: {}\ndata: {}\n\n", name, json);
}

void check_prompt_bytes(const ServedModel& served, size_t bytes) {
  const size_t least_tokens = bytes / served.longest_token_bytes;
  const int64_t context = served.engine.info().context_tokens;
  if (least_tokens > static_cast<size_t>(context))
    refuse_length(context, fmt::format("over {}", least_tokens));
}

void generate(const Call& call, const NamedModel& model, engine::Request request, int choices, bool stream,
              std::unique_ptr<AnswerWriter> writer) {
  engine::Engine& engine = model.served.engine;
  const int64_t context = engine.info().context_tokens;
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  if (prompt_tokens >= context) refuse_length(context, fmt::format("{}", prompt_tokens));
  request.tenant = tenant_of(call, request.tenant);
  if (call.caller) request.priority = call.caller->priority;
  request.deadline_seconds = time_limit_of(call);
  auto& sampling = request.sampling;
  sampling.max_tokens = static_cast<int>(std::min<int64_t>(sampling.max_tokens, context - prompt_tokens));

  if (!stream) check_logprobs(sampling, choices);
  const std::shared_ptr<ledger::Meter> meter = admit(call, model.billed, model.served.id, prompt_tokens);
  const auto answer = std::make_shared<Answer>(call.exchange, static_cast<size_t>(choices), stream,
                                               std::move(writer), meter, error_noter(call));
  std::vector<engine::RequestId> ids;
  try {
    for (size_t i = 0; i < static_cast<size_t>(choices); ++i) {
      engine::Request copy = request;
      if (copy.sampling.seed) *copy.sampling.seed += i;
      ids.push_back(
          engine.submit(std::move(copy), [answer, i](const Event& event) { answer->take(i, event); }));
    }
  } catch (...) {
    for (const auto id : ids) engine.cancel(id);
    if (meter) meter->finish("failed", {});
    throw;
  }
  answer->open();
  call.exchange->on_hang_up([&engine, ids = std::move(ids)] {
    for (const auto id : ids) engine.cancel(id);
  });
}

}  // namespace hadal::serve::api
