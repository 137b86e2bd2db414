#include "stub_engine.h"

#include <fmt/format.h>

#include <chrono>
#include <condition_variable>
#include <map>
#include <mutex>
#include <queue>
#include <thread>

#include "base/error.h"
#include "engine/engine.h"
#include "text/chat/chat_format.h"
#include "text/tiktoken.h"

namespace hadal::bench {

namespace {

using Clock = std::chrono::steady_clock;

StubOptions g_options;

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(Clock::now().time_since_epoch()).count();
}

}  // namespace

void set_stub_options(const StubOptions& options) { g_options = options; }

std::vector<uint32_t>& stub_handler_times() {
  static std::vector<uint32_t> times;
  return times;
}

}  // namespace hadal::bench

namespace hadal::engine {

using bench::Clock;

namespace {

struct Stream {
  Request request;
  EventHandler on_event;
  int64_t said = 0;
};

}  // namespace

struct Engine::Impl {
  ModelInfo info;
  std::shared_ptr<const text::Tokenizer> tokenizer;

  mutable std::mutex mutex;  // guards what follows
  std::condition_variable wake;
  std::map<RequestId, std::shared_ptr<Stream>> streams;
  std::multimap<Clock::time_point, RequestId> due;
  RequestId next_id = 1;
  EngineMetrics metrics;
  bool stopping = false;
  std::thread thread;

  Clock::duration step() const {
    return std::chrono::duration_cast<Clock::duration>(
        std::chrono::duration<double>(bench::g_options.step_seconds));
  }

  // The next step after `now`: each stream's own, or the same for all.
  Clock::time_point next_step(Clock::time_point now, RequestId id) const {
    if (step().count() == 0) return now;
    if (bench::g_options.together) return now - now.time_since_epoch() % step() + step();
    // The golden ratio's multiples are spread evenly, however many there are.
    const double phase = static_cast<double>(id) * 0.6180339887498949;
    const auto offset = std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(
        bench::g_options.step_seconds * (phase - static_cast<double>(static_cast<int64_t>(phase)))));
    return now - now.time_since_epoch() % step() + step() + offset;
  }

  void run() {
    std::unique_lock lock(mutex);
    while (!stopping) {
      if (due.empty()) {
        wake.wait(lock);
        continue;
      }
      const auto [at, id] = *due.begin();
      if (at > Clock::now()) {
        wake.wait_until(lock, at);
        continue;
      }
      due.erase(due.begin());
      const auto found = streams.find(id);
      if (found == streams.end()) continue;
      const std::shared_ptr<Stream> stream = found->second;
      Event event;
      event.tokens = {0};
      event.usage.prompt_tokens = static_cast<int64_t>(stream->request.prompt.size());
      event.usage.completion_tokens = ++stream->said;
      if (stream->said >= stream->request.sampling.max_tokens) {
        event.finish = Finish::kLength;
        streams.erase(found);
      } else {
        due.emplace(step().count() == 0 ? at : at + step(), id);
      }
      ++metrics.generated_tokens_total;
      lock.unlock();
      const int64_t made = bench::now_ns();
      event.text = fmt::format("@{};", made);
      stream->on_event(event);
      bench::stub_handler_times().push_back(static_cast<uint32_t>(bench::now_ns() - made));
      lock.lock();
    }
  }
};

Engine::Engine() : impl_(std::make_unique<Impl>()) {}

std::unique_ptr<Engine> Engine::open(const std::string& path, const EngineOptions& options) {
  std::unique_ptr<Engine> engine(new Engine());
  Impl& impl = *engine->impl_;
  impl.tokenizer = text::load_directory_tokenizer(path);
  impl.info = {"stub",
               "Stub",
               options.context_tokens > 0 ? options.context_tokens : 1 << 20,
               impl.tokenizer->vocab_size(),
               0,
               0,
               0};
  impl.metrics.ttft_seconds = impl.metrics.inter_token_seconds = {{}, {0}, 0, 0};
  impl.thread = std::thread([&impl] { impl.run(); });
  return engine;
}

Engine::~Engine() {
  {
    const std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
  }
  impl_->wake.notify_all();
  impl_->thread.join();
}

const ModelInfo& Engine::info() const { return impl_->info; }
const std::shared_ptr<const text::Tokenizer>& Engine::tokenizer() const { return impl_->tokenizer; }
const text::ChatFormat* Engine::chat_format() const { return &text::find_chat_format("deepseek-v3"); }

RequestId Engine::submit(Request request, EventHandler on_event) {
  const std::lock_guard lock(impl_->mutex);
  const RequestId id = impl_->next_id++;
  impl_->streams.emplace(id, std::make_shared<Stream>(Stream{std::move(request), std::move(on_event)}));
  impl_->due.emplace(impl_->next_step(Clock::now(), id), id);
  ++impl_->metrics.requests_total;
  impl_->wake.notify_one();
  return id;
}

void Engine::cancel(RequestId id) {
  std::shared_ptr<Stream> stream;
  {
    const std::lock_guard lock(impl_->mutex);
    const auto found = impl_->streams.find(id);
    if (found == impl_->streams.end()) return;
    stream = found->second;
    impl_->streams.erase(found);
    ++impl_->metrics.cancelled_total;
  }
}

std::shared_ptr<const Grammar> Engine::compile(const GrammarSource&) {
  throw_error(ErrorCode::kUnsupported, "[stub] no grammars");
}

std::vector<float> Engine::score(std::span<const text::TokenId>) {
  throw_error(ErrorCode::kUnsupported, "[stub] no scores");
}

EngineMetrics Engine::metrics() const {
  const std::lock_guard lock(impl_->mutex);
  EngineMetrics metrics = impl_->metrics;
  metrics.running = static_cast<int>(impl_->streams.size());
  return metrics;
}

}  // namespace hadal::engine
