#include "engine/engine.h"

#include <algorithm>
#include <condition_variable>
#include <deque>
#include <functional>
#include <future>
#include <mutex>
#include <random>
#include <thread>

#include "base/error.h"
#include "engine/checkpoint.h"
#include "engine/generation.h"
#include "engine/score.h"
#include "engine/session.h"

namespace hadal::engine {

namespace {

constexpr int64_t kDefaultContextTokens = 8192;

int64_t choose_context(int64_t asked, const model::ModelConfig& config) {
  if (asked == 0) return std::min(config.max_position_embeddings, kDefaultContextTokens);
  if (asked < 2 || asked > config.max_position_embeddings) {
    throw_error(ErrorCode::kBadInput, "[engine] context of {} tokens: this model takes 2 to {}", asked,
                config.max_position_embeddings);
  }
  return asked;
}

void check_tokens(std::span<const text::TokenId> tokens, int64_t vocab_size) {
  for (const auto id : tokens) {
    if (id < 0 || id >= vocab_size) {
      throw_error(ErrorCode::kBadInput, "[engine] the prompt has token {}: the vocabulary is 0 to {}", id,
                  vocab_size - 1);
    }
  }
}

}  // namespace

// Threads: `mutex` guards the queues and counters. Only the engine's thread touches a Generation, apart from
// its cancel flag, and it holds no lock while the model runs or a handler is called.
struct Engine::Impl {
  ModelInfo info;
  EngineOptions options;
  std::unique_ptr<base::ThreadPool> pool;
  GenerationContext context;

  mutable std::mutex mutex;
  std::condition_variable wake;
  std::deque<std::shared_ptr<Generation>> waiting;
  std::vector<std::shared_ptr<Generation>> running;  // changed by the engine's thread only, under the lock
  std::deque<std::packaged_task<std::vector<float>()>> scores;  // asked of the engine's thread
  bool stopping = false;
  RequestId next_id = 1;
  EngineStatus totals;
  std::random_device entropy;
  std::thread thread;

  void run();
  bool admit(std::vector<std::shared_ptr<Generation>>& cancelled);
  void turn();
  void score_one();
  void end_everything();
};

// Waits for work, then moves requests from the queue to the running ones. False: the engine stops.
bool Engine::Impl::admit(std::vector<std::shared_ptr<Generation>>& cancelled) {
  std::unique_lock lock(mutex);
  wake.wait(lock, [&] { return stopping || !running.empty() || !waiting.empty() || !scores.empty(); });
  if (stopping) return false;
  std::erase_if(waiting, [&](const auto& generation) {
    if (!generation->is_cancelled()) return false;
    cancelled.push_back(generation);
    return true;
  });
  while (!waiting.empty() && running.size() < static_cast<size_t>(options.max_running)) {
    running.push_back(std::move(waiting.front()));
    waiting.pop_front();
  }
  return true;
}

// One step of every running request, in order of arrival. One that ends leaves the engine before its last
// event is sent: whoever has seen that event can submit the next request.
void Engine::Impl::turn() {
  const auto present = running;
  for (const auto& generation : present) {
    const int64_t before = generation->completion_tokens();
    const bool goes_on = generation->step();
    {
      const std::lock_guard lock(mutex);
      totals.tokens_generated_total += static_cast<uint64_t>(generation->completion_tokens() - before);
      if (!goes_on) std::erase(running, generation);
      if (goes_on && stopping) return;
    }
    if (!goes_on) generation->send_last();
  }
}

void Engine::Impl::run() {
  std::vector<std::shared_ptr<Generation>> cancelled;
  while (admit(cancelled)) {
    for (const auto& generation : cancelled) {
      generation->end(Finish::kCancelled);
      generation->send_last();
    }
    cancelled.clear();
    turn();
    score_one();
  }
  end_everything();
}

void Engine::Impl::score_one() {
  std::packaged_task<std::vector<float>()> task;
  {
    const std::lock_guard lock(mutex);
    if (scores.empty()) return;
    task = std::move(scores.front());
    scores.pop_front();
  }
  task();
}

void Engine::Impl::end_everything() {
  std::vector<std::shared_ptr<Generation>> left;
  {
    const std::lock_guard lock(mutex);
    left.swap(running);
    left.insert(left.end(), waiting.begin(), waiting.end());
    waiting.clear();
    scores.clear();  // their futures say broken_promise
  }
  for (const auto& generation : left) {
    generation->end(Finish::kCancelled);
    generation->send_last();
  }
}

Engine::Engine() : impl_(std::make_unique<Impl>()) {}

std::unique_ptr<Engine> Engine::open(const std::string& path, const EngineOptions& options) {
  if (options.threads < 0 || options.max_queue < 1 || options.max_running < 1) {
    throw_error(ErrorCode::kBadInput,
                "[engine] threads {}, max_queue {}, max_running {}: below their minimum", options.threads,
                options.max_queue, options.max_running);
  }
  std::unique_ptr<Engine> engine(new Engine());
  Impl& impl = *engine->impl_;
  impl.options = options;
  GenerationContext& context = impl.context;
  Checkpoint checkpoint = open_checkpoint(path, options.chat_format);
  context.model = std::move(checkpoint.model);
  context.precision = options.exact ? Precision::kExact : Precision::kFast;
  context.tokenizer = std::move(checkpoint.tokenizer);
  context.chat_format = checkpoint.chat_format;
  context.end_tokens = std::move(checkpoint.end_tokens);
  const model::ModelConfig& config = context.model->config();
  context.context_tokens = choose_context(options.context_tokens, config);
  for (const auto name : {text::kBos, text::kEos, text::kPad, text::kUser, text::kAssistant}) {
    if (const auto id = context.tokenizer->find(name)) context.silent_tokens.push_back(*id);
  }
  impl.pool = std::make_unique<base::ThreadPool>(base::thread_count(options.threads));
  context.pool = impl.pool.get();
  impl.info = {std::move(checkpoint.name),
               config.architecture,
               context.context_tokens,
               config.vocab_size,
               config.bos_token_id,
               context.model->parameter_count(),
               context.model->active_parameter_count()};
  impl.thread = std::thread([&impl] { impl.run(); });
  return engine;
}

Engine::~Engine() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  if (impl_->thread.joinable()) impl_->thread.join();
}

const ModelInfo& Engine::info() const { return impl_->info; }

const text::ChatFormat* Engine::chat_format() const { return impl_->context.chat_format; }

const std::shared_ptr<const text::Tokenizer>& Engine::tokenizer() const { return impl_->context.tokenizer; }

RequestId Engine::submit(Request request, EventHandler on_event) {
  Impl& impl = *impl_;
  check_sampling(request.sampling);
  if (request.prompt.empty()) throw_error(ErrorCode::kBadInput, "[engine] the prompt is empty");
  const auto prompt_tokens = static_cast<int64_t>(request.prompt.size());
  if (prompt_tokens >= impl.info.context_tokens) {
    throw_error(
        ErrorCode::kBadInput,
        "[engine] the prompt has {} tokens: with room for an answer, at most {} fit the context of {}",
        prompt_tokens, impl.info.context_tokens - 1, impl.info.context_tokens);
  }
  check_tokens(request.prompt, impl.info.vocab_size);
  if (request.chat && impl.context.chat_format == nullptr) {
    throw_error(ErrorCode::kBadInput, "[engine] {} has no chat format", impl.info.name);
  }
  const std::lock_guard lock(impl.mutex);
  const size_t present = impl.waiting.size() + impl.running.size();
  if (present >= static_cast<size_t>(impl.options.max_queue)) {
    throw_error(ErrorCode::kResource,
                "[engine] {} requests are waiting or running, at most {}: try again later", present,
                impl.options.max_queue);
  }
  const uint64_t seed = static_cast<uint64_t>(impl.entropy()) << 32 | impl.entropy();
  const RequestId id = impl.next_id++;
  impl.waiting.push_back(
      std::make_shared<Generation>(impl.context, id, std::move(request), std::move(on_event), seed));
  ++impl.totals.requests_total;
  impl.wake.notify_one();
  return id;
}

void Engine::cancel(RequestId id) {
  const std::lock_guard lock(impl_->mutex);
  for (const auto& generation : impl_->waiting) {
    if (generation->id() == id) generation->cancel();
  }
  for (const auto& generation : impl_->running) {
    if (generation->id() == id) generation->cancel();
  }
}

std::vector<float> Engine::score(std::span<const text::TokenId> tokens) {
  Impl& impl = *impl_;
  if (tokens.size() < 2 || static_cast<int64_t>(tokens.size()) > impl.info.context_tokens + 1) {
    throw_error(ErrorCode::kBadInput, "[engine] {} tokens to score: expected 2 to {}", tokens.size(),
                impl.info.context_tokens + 1);
  }
  check_tokens(tokens, impl.info.vocab_size);
  std::packaged_task<std::vector<float>()> task(
      [&impl, tokens] { return score_tokens(impl.context, tokens); });
  auto result = task.get_future();
  {
    const std::lock_guard lock(impl.mutex);
    if (!impl.stopping) impl.scores.push_back(std::move(task));
  }
  impl.wake.notify_one();
  try {
    return result.get();
  } catch (const std::future_error&) {
    throw_error(ErrorCode::kResource, "[engine] stopped before the tokens were scored");
  }
}

Request text_request(const Engine& engine, std::string_view text) {
  const text::Tokenizer& tokenizer = *engine.tokenizer();
  const auto prefix = tokenizer.template_prefix();
  Request request;
  request.prompt.assign(prefix.begin(), prefix.end());
  if (const auto bos = tokenizer.find(text::kBos); bos && prefix.empty()) request.prompt.push_back(*bos);
  const auto encoded = tokenizer.encode(text);
  request.prompt.insert(request.prompt.end(), encoded.begin(), encoded.end());
  return request;
}

Request chat_request(const Engine& engine, std::span<const text::Message> messages,
                     const text::ChatOptions& options) {
  const text::ChatFormat* format = engine.chat_format();
  if (format == nullptr) {
    throw_error(
        ErrorCode::kBadInput,
        "[chat] {} has no chat format that Hadal knows; name one with --chat-format, or continue text",
        engine.info().name);
  }
  text::Prompt prompt = text::render_prompt(*format, *engine.tokenizer(), messages, options);
  Request request;
  request.prompt = std::move(prompt.ids);
  request.chat = true;
  request.starts_in_reasoning = prompt.starts_in_reasoning;
  return request;
}

EngineStatus Engine::status() const {
  const std::lock_guard lock(impl_->mutex);
  EngineStatus status = impl_->totals;
  status.running = static_cast<int>(impl_->running.size());
  status.waiting = static_cast<int>(impl_->waiting.size());
  return status;
}

}  // namespace hadal::engine
