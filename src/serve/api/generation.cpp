#include "serve/api/generation.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <mutex>
#include <random>

#include "serve/api/api_error.h"

namespace hadal::serve::api {

using base::Json;
using engine::Event;
using engine::Finish;

namespace {

constexpr const char* kFingerprint = "fp_hadal_0_1";

std::string make_id(const char* prefix) {
  std::random_device random;
  return fmt::format("{}{:08x}{:08x}{:08x}", prefix, random(), random(), random());
}

// OpenAI's counts, and DeepSeek's split of the prompt (nothing is kept between requests yet, so all are
// misses).
Json usage_json(const engine::Usage& usage) {
  return {{"prompt_tokens", usage.prompt_tokens},
          {"completion_tokens", usage.completion_tokens},
          {"total_tokens", usage.prompt_tokens + usage.completion_tokens},
          {"prompt_cache_hit_tokens", 0},
          {"prompt_cache_miss_tokens", usage.prompt_tokens},
          {"prompt_tokens_details", {{"cached_tokens", 0}}},
          {"completion_tokens_details", {{"reasoning_tokens", usage.reasoning_tokens}}}};
}

// One answer under way. begin() may come from the transport's thread and the engine's; take() from the
// engine's.
class Answer {
 public:
  Answer(std::shared_ptr<http::Exchange> exchange, const AnswerShape& shape, const CompletionOptions& options,
         const std::string& model, std::string echo)
      : exchange_(std::move(exchange)),
        shape_(shape),
        stream_(options.stream),
        include_usage_(options.include_usage),
        said_{std::move(echo), ""} {
    envelope_ = {{"id", make_id(shape.id_prefix)},
                 {"object", stream_ ? shape.chunk_object : shape.object},
                 {"created", static_cast<int64_t>(std::time(nullptr))},
                 {"model", model},
                 {"system_fingerprint", kFingerprint}};
  }

  // The headers, and the chunk that opens the answer: whoever comes first sends them.
  void begin() {
    const std::lock_guard lock(mutex_);
    if (begun_ || !stream_) return;
    begun_ = true;
    exchange_->begin_stream({});
    std::string opening;
    if (shape_.opening != nullptr) opening += chunk(shape_.opening());
    if (!said_.text.empty()) opening += chunk(shape_.piece(said_.text, nullptr));
    if (!opening.empty()) exchange_->write(std::move(opening));
  }

  void take(const Event& event) {
    if (!stream_) {
      said_.reasoning += event.reasoning;
      said_.text += event.text;
      if (event.finish) finish_whole(event);
      return;
    }
    begin();
    std::string bytes;
    if (!event.reasoning.empty()) bytes += chunk(shape_.reasoning_piece(event.reasoning));
    if (!event.text.empty()) bytes += chunk(shape_.piece(event.text, nullptr));
    if (event.finish) bytes += last_chunks(event);
    if (!bytes.empty()) exchange_->write(std::move(bytes));
    if (event.finish) exchange_->end_stream();
  }

 private:
  static const char* reason(Finish finish) { return finish == Finish::kLength ? "length" : "stop"; }

  // The two ends that are not an answer.
  static bool failed(const Event& event) {
    return *event.finish == Finish::kError || *event.finish == Finish::kCancelled;
  }
  static ApiError failure(const Event& event) {
    if (*event.finish == Finish::kCancelled) return {503, "cancelled", "the server stopped this request"};
    return {500, "server_error", "generation failed: " + without_area(event.error)};
  }

  std::string chunk(Json choice) const {
    Json json = envelope_;
    json["choices"] = Json::array({std::move(choice)});
    if (include_usage_) json["usage"] = nullptr;
    return fmt::format("data: {}\n\n", base::dump_json(json));
  }

  std::string last_chunks(const Event& event) const {
    if (failed(event)) {
      // No [DONE]: clients take its absence for a broken stream, and this error names why.
      const ApiError error = failure(event);
      return fmt::format("data: {}\n\n", base::dump_json(error_body(error.status(), error.code(),
                                                                    error.what(), error.param())));
    }
    std::string bytes = chunk(shape_.piece("", reason(*event.finish)));
    if (include_usage_) {
      Json json = envelope_;
      json["choices"] = Json::array();
      json["usage"] = usage_json(event.usage);
      bytes += fmt::format("data: {}\n\n", base::dump_json(json));
    }
    return bytes + "data: [DONE]\n\n";
  }

  void finish_whole(const Event& event) {
    if (failed(event)) return exchange_->respond(error_response(failure(event)));
    Json json = envelope_;
    json["choices"] = Json::array({shape_.whole(said_, reason(*event.finish))});
    json["usage"] = usage_json(event.usage);
    http::Response response;
    response.body = base::dump_json(json);
    exchange_->respond(std::move(response));
  }

  const std::shared_ptr<http::Exchange> exchange_;
  const AnswerShape& shape_;
  const bool stream_;
  const bool include_usage_;
  Said said_;  // streaming: the echo; else all so far
  Json envelope_;
  std::mutex mutex_;
  bool begun_ = false;
};

[[noreturn]] void refuse_length(int64_t context, const std::string& tokens) {
  throw ApiError(
      400, "context_length_exceeded",
      fmt::format("This model's maximum context length is {} tokens. However, you requested {} tokens in "
                  "the prompt alone; shorten it.",
                  context, tokens));
}

}  // namespace

void check_prompt_bytes(const Service& service, size_t bytes) {
  const size_t least_tokens = bytes / service.longest_token_bytes;
  const int64_t context = service.engine.info().context_tokens;
  if (least_tokens > static_cast<size_t>(context))
    refuse_length(context, fmt::format("over {}", least_tokens));
}

void generate(const Call& call, engine::Request request, CompletionOptions options, const AnswerShape& shape,
              std::string echo) {
  const Service& service = call.service;
  const int64_t context = service.engine.info().context_tokens;
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  if (prompt_tokens >= context) refuse_length(context, fmt::format("{}", prompt_tokens));
  options.sampling.max_tokens =
      static_cast<int>(std::min<int64_t>(options.sampling.max_tokens, context - prompt_tokens));

  const auto answer =
      std::make_shared<Answer>(call.exchange, shape, options, service.model_id, std::move(echo));
  request.sampling = std::move(options.sampling);
  const engine::RequestId id =
      service.engine.submit(std::move(request), [answer](const Event& event) { answer->take(event); });
  answer->begin();
  call.exchange->on_hang_up([&engine = service.engine, id] { engine.cancel(id); });
}

}  // namespace hadal::serve::api
