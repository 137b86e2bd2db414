#include "serve/api/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <atomic>
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
constexpr size_t kLongBytes = 128 * 1024;  // of a whole answer: its JSON takes 0.4 ms

// What a request's answer was sent, by the ledger's count, as its bytes leave; and the room that they take.
class AnswerReceipt final : public http::Receipt {
 public:
  AnswerReceipt(std::shared_ptr<ledger::Meter> meter, const ledger::Tokens& total, std::shared_ptr<void> room)
      : meter_(std::move(meter)), total_(total), room_(std::move(room)) {}
  void leaving(int socket, size_t bytes) override {
    if (meter_) meter_->sending(socket, bytes, total_);
  }
  void left() override {
    if (meter_) meter_->sent();
  }
  void refused() override {
    if (meter_) meter_->withdraw("failed");
  }

 private:
  const std::shared_ptr<ledger::Meter> meter_;
  const ledger::Tokens total_;
  const std::shared_ptr<void> room_;
};

// What an answer is given, besides where it goes.
struct AnswerMeans {
  std::unique_ptr<AnswerWriter> writer;
  std::shared_ptr<ledger::Meter> meter;         // null: nothing is counted
  std::shared_ptr<void> room;                   // of a whole answer with log-probabilities
  LargeAnswers* large_answers = nullptr;        // who writes it, and what else is long
  bool own_deadline = false;                    // the client's, not the server's
  std::function<void(text::Message)> on_calls;  // an answer with calls is whole
  std::function<void(const ApiError&)> on_broken;
};

// What was made so far. The prompt counts once, however many choices, as the one has it that is furthest:
// when all are complete it is the first, as usage_json() says it.
ledger::Tokens tokens_of(const std::vector<Choice>& choices) {
  const engine::Usage& furthest =
      std::ranges::max_element(choices, {}, [](const Choice& c) { return c.usage.prefilled_tokens; })->usage;
  ledger::Tokens tokens{furthest.prefilled_tokens,
                        std::min(furthest.cached_tokens, furthest.prefilled_tokens), 0, 0};
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
class Answer : public std::enable_shared_from_this<Answer> {
 public:
  Answer(std::shared_ptr<http::Exchange> exchange, size_t choices, bool stream, AnswerMeans means)
      : exchange_(std::move(exchange)),
        stream_(stream),
        own_deadline_(means.own_deadline),
        on_calls_(std::move(means.on_calls)),
        on_broken_(std::move(means.on_broken)),
        writer_(std::move(means.writer)),
        meter_(std::move(means.meter)),
        room_(std::move(means.room)),
        large_answers_(means.large_answers),
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

  // Any thread: nobody reads on. Events still say what was made for the client.
  void client_left() { left_ = true; }

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
    if (left_) {
      complete_ += event.finish ? 1 : 0;
      ended_ = complete_ == choices_.size();
      if (ended_) finish("cancelled", tokens_of(choices_));
      return;
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
      const ApiError error(503, "server_overloaded",
                           "no answer within the request's time limit; try again later");
      if (own_deadline_) return fail(error, "cancelled", tokens_of(choices_));
      return fail(error);
    }
    if (event.finish) ++complete_;
    if (event.answer_tokens) {
      on_calls_({"assistant", choice.text, choice.reasoning, choice.calls, "", false, event.answer_tokens});
    }
    std::string bytes = stream_ ? writer_->piece(choices_, index, event) : "";
    ended_ = complete_ == choices_.size();
    if (stream_) {
      if (ended_) bytes += writer_->closing(choices_);
      auto receipt = bytes.empty() ? nullptr : make_receipt();
      if (ended_) finish(status_of(choices_), tokens_of(choices_));
      if (!bytes.empty()) exchange_->write(std::move(bytes), std::move(receipt));
      if (ended_) exchange_->end_stream();
    } else if (ended_ && (room_ || is_long())) {
      large_answers_->post([self = shared_from_this()] {
        const std::lock_guard lock(self->mutex_);
        self->respond_whole();
      });
    } else if (ended_) {
      respond_whole();
    }
  }

  // Too long to be written on the engine's thread: there is a stream or two that waits for its next token.
  bool is_long() const {
    size_t bytes = 0;
    for (const Choice& choice : choices_) {
      bytes += choice.text.size() + choice.reasoning.size();
      for (const text::ToolCall& call : choice.calls) bytes += call.arguments.size();
    }
    return bytes > kLongBytes;
  }

  void respond_whole() {
    http::Response response;
    try {
      response.body = writer_->whole(choices_);
    } catch (const std::exception& e) {
      return fail({500, "server_error", std::string("the answer could not be written: ") + e.what()});
    }
    response.receipt = make_receipt();
    finish(status_of(choices_), tokens_of(choices_));
    exchange_->respond(std::move(response));
  }

  std::shared_ptr<http::Receipt> make_receipt() const {
    if (!meter_ && !room_) return nullptr;
    return std::make_shared<AnswerReceipt>(meter_, tokens_of(choices_), room_);
  }

  // Before the last bytes leave: who has them may ask for more at once.
  void finish(const char* status, const ledger::Tokens& total) {
    room_.reset();
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

  // `made`: what the client pays for all the same.
  void fail(const ApiError& error, const char* status = "failed", const ledger::Tokens& made = {}) {
    ended_ = true;
    finish(status, made);
    if (stream_ && error.status() == 500) on_broken_(error);
    if (!stream_) return exchange_->respond(writer_->refusal(error));
    exchange_->write(writer_->broken(error));
    exchange_->end_stream();
  }

  const std::shared_ptr<http::Exchange> exchange_;
  const bool stream_;
  const bool own_deadline_;  // the client's, not the server's
  const std::function<void(text::Message)> on_calls_;
  const std::function<void(const ApiError&)> on_broken_;
  std::atomic<bool> left_{false};
  std::mutex mutex_;  // guards what follows
  const std::unique_ptr<AnswerWriter> writer_;
  std::shared_ptr<ledger::Meter> meter_;
  std::shared_ptr<void> room_;
  LargeAnswers* const large_answers_;
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

// Whole answers are kept until their end; null: this one takes no room to speak of.
std::shared_ptr<void> room_for_logprobs(const Call& call, const engine::SamplingOptions& sampling,
                                        int choices, bool stream) {
  if (!sampling.logprobs || stream) return nullptr;
  const int64_t entries = int64_t{choices} * sampling.max_tokens * (1 + sampling.top_logprobs);
  if (entries <= kMaxLogprobEntries)
    return call.service.large_answers->take(call.caller ? call.caller->key_id : std::string(), entries);
  throw bad_value(
      "logprobs",
      fmt::format("n ({}) x max_tokens ({}) x (1 + top_logprobs) ({}) are {} log-probabilities; one "
                  "answer has at most {}: lower one of these, or stream",
                  choices, sampling.max_tokens, 1 + sampling.top_logprobs, entries, kMaxLogprobEntries));
}

}  // namespace

std::string tenant_of(const Call& call, const std::string& user_id) {
  if (call.caller) return fmt::format("{}\n{}", call.caller->key_id, user_id);
  const std::string* authorization = call.request.header("authorization");
  const std::string* key = call.request.header("x-api-key");  // Anthropic's clients
  return fmt::format("{}\n{}\n{}", authorization ? *authorization : "", key ? *key : "", user_id);
}

namespace {

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

// Keeps what the model wrote around its calls for the turn that sends them back.
std::function<void(text::Message)> call_keeper(const Call& call, const NamedModel& model,
                                               const std::string& tenant) {
  return [calls = call.service.calls, owner = CallMemory::Owner{tenant, model.served.id}](
             text::Message answer) { calls->remember(owner, std::move(answer)); };
}

struct TimeLimit {
  double seconds = 0;  // from now; 0: as long as it takes
  bool own = false;    // the client's
};

// What X-Request-Timeout-Ms says, else what the server allows.
TimeLimit time_limit_of(const Call& call) {
  const double most = call.service.request_seconds;
  const std::string* given = call.request.header(kTimeoutHeader);
  if (given == nullptr) return {most, false};
  int64_t milliseconds = 0;
  const char* end = given->data() + given->size();
  const auto [stopped, error] = std::from_chars(given->data(), end, milliseconds);
  if (error != std::errc() || stopped != end || milliseconds < 1 || milliseconds > kMaxTimeoutMs) {
    throw bad_value(kTimeoutHeader, fmt::format("\"{}\" is not a number of milliseconds from 1 to {}", *given,
                                                kMaxTimeoutMs));
  }
  const double seconds = static_cast<double>(milliseconds) / 1000;
  if (most > 0 && most <= seconds) return {most, false};
  return {seconds, true};
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

void check_prompt_tokens(const ServedModel& served, size_t tokens) {
  const int64_t context = served.engine.info().context_tokens;
  if (tokens >= static_cast<size_t>(context)) refuse_length(context, fmt::format("{}", tokens));
}

void check_time_limit(const Call& call) { time_limit_of(call); }

void generate(const Call& call, const NamedModel& model, engine::Request request, int choices, bool stream,
              std::unique_ptr<AnswerWriter> writer) {
  engine::Engine& engine = model.served.engine;
  const int64_t context = engine.info().context_tokens;
  check_prompt_tokens(model.served, request.prompt.size());
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  request.tenant = tenant_of(call, request.tenant);
  if (call.caller) request.priority = call.caller->priority;
  const TimeLimit limit = time_limit_of(call);
  request.deadline_seconds = limit.seconds;
  auto& sampling = request.sampling;
  sampling.max_tokens = static_cast<int>(std::min<int64_t>(sampling.max_tokens, context - prompt_tokens));

  AnswerMeans means;
  means.room = room_for_logprobs(call, sampling, choices, stream);
  const std::shared_ptr<ledger::Meter> meter =
      admit(call, model, prompt_tokens, int64_t{choices} * sampling.max_tokens);
  means.writer = std::move(writer);
  means.meter = meter;
  means.large_answers = call.service.large_answers.get();
  means.own_deadline = limit.own;
  means.on_calls = call_keeper(call, model, request.tenant);
  means.on_broken = error_noter(call);
  const auto answer =
      std::make_shared<Answer>(call.exchange, static_cast<size_t>(choices), stream, std::move(means));
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
  call.exchange->on_hang_up(
      [&engine, &service = call.service, weak = std::weak_ptr(answer), ids = std::move(ids), meter] {
        // Those that a stopping server cuts off have not left: they do not pay for what they were not sent.
        const bool stopping = service.transport && service.transport().draining;
        if (stopping && meter) meter->withdraw("cancelled");
        if (const auto answer = weak.lock(); answer && !stopping) answer->client_left();
        for (const auto id : ids) engine.cancel(id);
      });
}

}  // namespace hadal::serve::api
