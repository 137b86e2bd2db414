#include "posttrain/rollout/rollout.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <new>
#include <optional>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/random.h"
#include "posttrain/rollout/model_weights.h"

namespace hadal::posttrain {

namespace {

constexpr int kMostWaiting = 1 << 20;

// What the engine's thread tells the caller's.
struct Progress {
  std::mutex mutex;
  std::condition_variable done;
  size_t left = 0;
  std::string error;
  ErrorCode code = ErrorCode::kInternal;  // of the error
  RolloutCost cost;
};

void take(const engine::Event& event, Answer& answer, Progress& progress) {
  answer.tokens.insert(answer.tokens.end(), event.tokens.begin(), event.tokens.end());
  for (const engine::TokenLogprob& logprob : event.logprobs) answer.logprobs.push_back(logprob.logprob);
  answer.text += event.text;
  if (!event.finish) return;
  answer.text += event.stop_string;
  answer.ended = *event.finish == engine::Finish::kStop;
  const std::lock_guard lock(progress.mutex);
  if (!answer.ended && *event.finish != engine::Finish::kLength) {
    progress.error = event.error.empty() ? "an answer was cancelled" : event.error;
    // The engine tells a failed step in words.
    progress.code = event.error.empty()                      ? ErrorCode::kCancelled
                    : event.error == std::bad_alloc().what() ? ErrorCode::kResource
                                                             : ErrorCode::kInternal;
  }
  progress.cost.prompt_tokens += event.usage.prompt_tokens;
  progress.cost.cached_tokens += event.usage.cached_tokens;
  progress.cost.answer_tokens += event.usage.completion_tokens;
  if (--progress.left == 0) progress.done.notify_all();
}

// A stream of its own for each answer, whatever else is asked for.
uint64_t seed_of(uint64_t seed, size_t prompt, int answer) {
  uint64_t mix = seed;
  mix = base::splitmix64(mix) ^ (static_cast<uint64_t>(prompt) << 24) ^ static_cast<uint64_t>(answer);
  return base::splitmix64(mix);
}

}  // namespace

Rollout::Rollout(const model::Transformer& model, const std::string& directory,
                 const RolloutOptions& options) {
  engine::EngineOptions o;
  o.exact = true;
  o.kv_type = options.bf16_cache ? "bf16" : "f32";
  o.threads = options.threads;
  o.context_tokens = options.context_tokens;
  o.max_queue = kMostWaiting;
  o.max_running = options.max_running;
  o.max_itl_ms = 0;  // nobody waits for a token: prompts run whole
  engine_ = engine::Engine::open(directory, model_weights(model), o);
  if (tokenizer().vocab_size() < model.config().vocab_size) {
    spdlog::warn(
        "[rollout] the model has {} ids, its tokenizer {}: the sampler never says the others, and its "
        "log-probabilities differ from the trainer's by their share",
        model.config().vocab_size, tokenizer().vocab_size());
  }
}

Rollout::~Rollout() = default;

std::vector<text::TokenId> Rollout::prompt(const eval::PromptTemplate& how,
                                           const eval::Problem& problem) const {
  if (!how.chat) return engine::text_request(*engine_, how.render(problem)).prompt;
  const text::Message message{.role = "user", .content = how.render(problem)};
  return engine::chat_request(*engine_, {&message, 1}).prompt;
}

bool Rollout::opens_reasoning(std::span<const text::TokenId> prompt) const {
  constexpr size_t kTail = 12;  // "<think>", spelled, and white space
  const auto tail = prompt.last(std::min(kTail, prompt.size()));
  const std::string text = tokenizer().decode(tail);
  return eval::trim(text).ends_with("<think>");
}

eval::ParsedCompletion parse(const eval::PromptTemplate& how, const Answer& answer) {
  return how.parse(answer.text, answer.opened);
}

std::vector<std::vector<Answer>> Rollout::sample(std::span<const std::vector<text::TokenId>> prompts,
                                                 const SampleOptions& options, RolloutCost* cost) {
  const double began = base::monotonic_seconds();
  std::vector<std::vector<Answer>> answers(prompts.size());
  Progress progress;
  progress.left = prompts.size() * static_cast<size_t>(options.answers);
  if (progress.left == 0) return answers;
  size_t submitted = 0;
  std::optional<Error> refused;
  for (size_t p = 0; p < prompts.size() && !refused; ++p) {
    answers[p].resize(static_cast<size_t>(options.answers));
    const bool opened = opens_reasoning(prompts[p]);
    for (int a = 0; a < options.answers && !refused; ++a) {
      engine::Request request;
      request.prompt = prompts[p];
      request.sampling.temperature = options.temperature;
      request.sampling.logprobs = true;
      request.sampling.end_logprobs = true;
      request.sampling.seed = seed_of(options.seed, p, a);
      request.sampling.max_tokens = options.max_tokens;
      if (!options.stop.empty()) request.sampling.stop.emplace_back(options.stop);
      Answer& answer = answers[p][static_cast<size_t>(a)];
      answer.opened = opened;
      try {
        engine_->submit(std::move(request),
                        [&answer, &progress](const engine::Event& event) { take(event, answer, progress); });
        ++submitted;
      } catch (const Error& e) {
        refused = e;
      }
    }
  }
  std::unique_lock lock(progress.mutex);
  // The events of what was submitted refer to this frame: all of them are waited for.
  progress.left -= prompts.size() * static_cast<size_t>(options.answers) - submitted;
  progress.done.wait(lock, [&] { return progress.left == 0; });
  if (refused) throw_error(refused->code(), "[rollout] {}", refused->what());
  if (!progress.error.empty()) throw_error(progress.code, "[rollout] {}", progress.error);
  progress.cost.seconds = base::monotonic_seconds() - began;
  if (cost != nullptr) {
    cost->prompt_tokens += progress.cost.prompt_tokens;
    cost->cached_tokens += progress.cost.cached_tokens;
    cost->answer_tokens += progress.cost.answer_tokens;
    cost->seconds += progress.cost.seconds;
  }
  return answers;
}

}  // namespace hadal::posttrain
