#include "engine/engine.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <mutex>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "base/machine_memory.h"
#include "engine/checkpoint.h"
#include "engine/kvcache/fingerprint.h"
#include "engine/scheduler/scheduler.h"
#include "engine/score.h"
#include "format/tensor_source.h"
#include "kernels/simd.h"

namespace hadal::engine {

namespace {

constexpr int64_t kDefaultContextTokens = 8192;
constexpr int64_t kMostContextTokens = 1 << 20;  // of a model that was trained for fewer

int64_t choose_context(int64_t asked, const model::ModelConfig& config) {
  if (asked == 0) return std::min(config.max_position_embeddings, kDefaultContextTokens);
  const int64_t trained = config.max_position_embeddings;
  const int64_t most = std::max(trained, kMostContextTokens);
  if (asked < 2 || asked > most)
    throw_error(ErrorCode::kBadInput, "[engine] context of {} tokens: it can be 2 to {}", asked, most);
  if (asked > trained) {
    spdlog::warn(
        "[engine] context of {} tokens: the model was trained for {}; what it says further on may lack sense",
        asked, trained);
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

struct Engine::Impl {
  ModelInfo info;
  std::unique_ptr<base::ThreadPool> pool;
  GenerationContext context;
  std::once_flag first_grammar;
  std::unique_ptr<GrammarCompiler> grammars;  // made for the first that is asked for
  std::unique_ptr<Scheduler> scheduler;
  uint64_t weights_version = 0;  // of weights in memory
};

Engine::Engine() : impl_(std::make_unique<Impl>()) {}

namespace {

constexpr int64_t kMostKvDiskBytes = int64_t{64} << 30;  // unless the operator says otherwise

void check_options(const EngineOptions& o) {
  if (o.threads < 0 || o.max_queue < 1 || o.max_running < 1) {
    throw_error(ErrorCode::kBadInput,
                "[engine] threads {}, max_queue {}, max_running {}: below their minimum", o.threads,
                o.max_queue, o.max_running);
  }
  if (o.kv_memory_bytes < 0 || o.kv_disk_bytes < 0 || !(o.kv_ttl_seconds > 0) || !(o.max_itl_ms >= 0)) {
    throw_error(
        ErrorCode::kBadInput,
        "[engine] KV memory {}, disk {}, time to live {} s, inter-token time {} ms: below their minimum",
        o.kv_memory_bytes, o.kv_disk_bytes, o.kv_ttl_seconds, o.max_itl_ms);
  }
}

// A page more than a context needs: the last page of a prompt that was hit whole is copied.
int64_t choose_pages(int64_t asked_bytes, const KvLayout& layout, int64_t context_tokens, int max_running) {
  const int64_t least = pages_for(context_tokens) + 1;
  if (asked_bytes > 0) {
    const int64_t pages = asked_bytes / layout.page_bytes();
    if (pages < least) {
      throw_error(ErrorCode::kBadInput,
                  "[engine] KV memory of {} bytes holds {} tokens; a context of {} needs {} bytes",
                  asked_bytes, pages * kPageTokens, context_tokens, least * layout.page_bytes());
    }
    return pages;
  }
  const int64_t free_bytes = base::machine_memory().available_bytes;
  return std::clamp(free_bytes / 4 / layout.page_bytes(), least, 4 * least * max_running);
}

// By the file system's size, not by what is free now: the limit is to be the same after every start.
int64_t choose_disk_bytes(int64_t asked, const std::string& directory) {
  if (asked > 0) return asked;
  std::error_code error;
  std::filesystem::path there = std::filesystem::absolute(directory, error);
  while (there.has_relative_path() && !std::filesystem::exists(there, error)) there = there.parent_path();
  const auto space = std::filesystem::space(there, error);
  return error ? kMostKvDiskBytes : std::min(static_cast<int64_t>(space.capacity / 10), kMostKvDiskBytes);
}

// Everything that the numbers in a page depend on besides model and layout.
std::string arithmetic(Precision precision) {
  return fmt::format("v{} {} {}", kArithmeticVersion, precision == Precision::kExact ? "exact" : "fast",
                     kernels::simd_name());
}

// A large checkpoint is read whole, once: says how far it is, every few seconds.
struct LogProgress {
  double next = base::monotonic_seconds() + 3;
  void operator()(int64_t done, int64_t all) {
    if (base::monotonic_seconds() < next) return;
    next = base::monotonic_seconds() + 3;
    spdlog::info("[engine] the first start with this checkpoint reads it once: {:.1f} of {:.1f} GB",
                 static_cast<double>(done) / 1e9, static_cast<double>(all) / 1e9);
  }
};

}  // namespace

std::unique_ptr<Engine> Engine::open(const std::string& path, const EngineOptions& options) {
  return open(path, nullptr, options);
}

std::unique_ptr<Engine> Engine::open(const std::string& path,
                                     std::unique_ptr<const format::TensorSource> weights,
                                     const EngineOptions& options) {
  check_options(options);
  if (weights && !options.kv_directory.empty()) {
    throw_error(ErrorCode::kBadInput, "[engine] {}: pages of weights in memory cannot be kept on disk", path);
  }
  std::unique_ptr<Engine> engine(new Engine());
  Impl& impl = *engine->impl_;
  GenerationContext& context = impl.context;
  const auto read_digest = [&] {
    return checkpoint_digest(path, options.kv_directory, LogProgress{}, options.adapter);
  };
  const Digest before_mapping = options.kv_directory.empty() ? Digest{} : read_digest();
  Checkpoint checkpoint = open_checkpoint(path, options.chat_format, options.adapter, std::move(weights));
  context.model = std::move(checkpoint.model);
  context.precision = options.exact ? Precision::kExact : Precision::kFast;
  context.kv_type = !options.kv_type.empty() ? parse_kv_type(options.kv_type)
                    : options.exact          ? KvType::kF32
                                             : KvType::kBf16;
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

  const KvLayout layout(config, context.kv_type, config.num_hidden_layers);
  SchedulerOptions scheduler;
  scheduler.max_queue = options.max_queue;
  scheduler.max_running = options.max_running;
  scheduler.max_itl_ms = options.max_itl_ms;
  scheduler.pages =
      choose_pages(options.kv_memory_bytes, layout, context.context_tokens, options.max_running);
  scheduler.description = fmt::format("{} {}", impl.info.name, layout.text());
  if (!options.kv_directory.empty()) {
    scheduler.disk.directory = options.kv_directory;
    scheduler.disk.max_bytes = choose_disk_bytes(options.kv_disk_bytes, options.kv_directory);
    scheduler.disk.ttl_seconds = options.kv_ttl_seconds;
    // The weights are mapped already. What was mapped is what was read now, or pages would lie for ever.
    const Digest digest = read_digest();
    if (digest != before_mapping) {
      throw_error(ErrorCode::kIo, "[engine] {} changed while it was being opened; start again", path);
    }
    scheduler.fingerprint = page_fingerprint(digest, layout.text(), arithmetic(context.precision));
  }
  impl.scheduler = std::make_unique<Scheduler>(context, scheduler);
  return engine;
}

Engine::~Engine() = default;

void Engine::weights_changed() {
  Impl& impl = *impl_;
  Digest version{};
  std::memcpy(version.data(), &++impl.weights_version, sizeof impl.weights_version);
  const KvLayout layout(impl.context.model->config(), impl.context.kv_type,
                        impl.context.model->config().num_hidden_layers);
  impl.scheduler->forget_pages(page_fingerprint(version, layout.text(), arithmetic(impl.context.precision)));
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
  return impl.scheduler->submit(std::move(request), std::move(on_event));
}

void Engine::cancel(RequestId id) { impl_->scheduler->cancel(id); }

std::shared_ptr<const Grammar> Engine::compile(const GrammarSource& source) {
  Impl& impl = *impl_;
  std::call_once(impl.first_grammar, [&impl] {
    impl.grammars = std::make_unique<GrammarCompiler>(impl.context.tokenizer, impl.context.end_tokens);
  });
  return impl.grammars->compile(source);
}

std::vector<float> Engine::score(std::span<const text::TokenId> tokens) {
  Impl& impl = *impl_;
  if (tokens.size() < 2 || static_cast<int64_t>(tokens.size()) > impl.info.context_tokens + 1) {
    throw_error(ErrorCode::kBadInput, "[engine] {} tokens to score: expected 2 to {}", tokens.size(),
                impl.info.context_tokens + 1);
  }
  check_tokens(tokens, impl.info.vocab_size);
  std::vector<float> losses;
  impl.scheduler->run_between_steps([&] { losses = score_tokens(impl.context, tokens); });
  return losses;
}

EngineMetrics Engine::metrics() const { return impl_->scheduler->metrics(); }

}  // namespace hadal::engine
