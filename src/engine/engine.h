// The only door to inference. An Engine owns one model and one thread that runs it; any thread may submit
// requests and cancel them. Events of a request arrive on the engine's thread, in order, and never after the
// one that has `finish` set. An event handler must not block and must not throw.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/engine_metrics.h"
#include "engine/grammar/constraint.h"
#include "text/chat/chat_format.h"
#include "text/output_parser.h"
#include "text/tokenizer.h"

namespace hadal::format {
class TensorSource;
}

namespace hadal::engine {

// Bounds of SamplingOptions::stop, here and in the API.
inline constexpr size_t kMaxStops = 16;
inline constexpr size_t kMaxStopBytes = 1024;  // of each
// Of the other lists of SamplingOptions.
inline constexpr int kMaxTopLogprobs = 20;
inline constexpr size_t kMaxLogitBiases = 1024;

struct LogitBias {
  text::TokenId id = 0;
  float bias = 0;  // [-100, 100]
};

struct SamplingOptions {
  float temperature = 1.0f;  // 0: greedy
  int top_k = 0;             // 0: off
  float top_p = 1.0f;        // (0, 1]
  float min_p = 0.0f;        // [0, 1): drop tokens below min_p times the likeliest
  // > 0; CTRL (Keskar et al. 2019): divides positive, multiplies negative logits of tokens seen so far
  float repetition_penalty = 1.0f;
  // OpenAI's, [-2, 2]: subtracted from a token's logit, once for each time the answer has it, and once if at
  // all
  float frequency_penalty = 0;
  float presence_penalty = 0;
  std::vector<LogitBias> logit_bias;  // added to logits
  bool logprobs = false;              // Event::logprobs
  bool end_logprobs = false;          // with `logprobs`: of an end token too
  int top_logprobs = 0;               // TokenLogprob::top, at most so many; needs logprobs
  std::optional<uint64_t> seed;       // none: drawn from the system
  std::vector<std::string> stop;      // generation ends before the first of these; none of its text is sent
  int max_tokens = 0;                 // 0: until the context is full
};

// Keeps an answer inside a grammar (Engine::compile): all of its text, behind any reasoning; or, with
// `after`, what follows that token wherever the model says it (the beginning of its tool calls) to the
// answer's end.
struct Guidance {
  std::shared_ptr<const Grammar> grammar;  // null: none
  std::optional<text::TokenId> after;
};

struct Request {
  std::vector<text::TokenId> prompt;
  SamplingOptions sampling;
  // A conversation's next answer: reasoning and text come apart, by the model's chat format.
  bool chat = false;
  bool starts_in_reasoning = false;  // text::Prompt's
  // Tool calls come apart too (Event::tool_calls), piece by piece or whole: text::OutputOptions' words.
  bool tools = false;
  bool stream_arguments = false;
  std::vector<text::ToolDefinition> definitions = {};  // what was offered
  // The prompt's last tokens that are the answer's beginning (a tool call that the caller demands): told with
  // the first sampled token, not counted as sampled.
  size_t forced_tokens = 0;
  Guidance guidance;

  std::string tenant;           // whose it is: no tenant sees, or can time, what another has in the KV cache
  int priority = 0;             // larger first; equals share by tenant
  double deadline_seconds = 0;  // from submit to the last token; 0: none
  // The tokens that the conversation's next prompt will begin with, once it has this answer (a format may
  // drop the reasoning); chat_request sets it. The engine prepares them when it is idle.
  std::function<std::vector<text::TokenId>(const text::Message& answer)> next_prompt;
};

enum class Finish { kStop, kLength, kCancelled, kDeadline, kError };

struct Usage {
  int64_t prompt_tokens = 0;
  int64_t cached_tokens = 0;      // of these, not computed: they were in the KV cache
  int64_t prefilled_tokens = 0;   // of these, through the model so far (cached ones before them included)
  int64_t completion_tokens = 0;  // as Event::tokens: an end token counts
  int64_t reasoning_tokens = 0;   // of these
  double prefill_seconds = 0;     // from the first work on it to its first logits, by the clock
  double decode_seconds = 0;      // from there to its last token
};

// Under the model's own distribution: before temperature, penalties and biases.
struct TokenLogprob {
  text::TokenId id = 0;
  float logprob = 0;                                 // ln p, <= 0
  std::vector<std::pair<text::TokenId, float>> top;  // the likeliest tokens and their ln p, likeliest first
  bool reasoning = false;                            // sampled within the reasoning
};

struct Event {
  std::string text;       // complete UTF-8, perhaps empty
  std::string reasoning;  // the same, with Request::chat, of a model that thinks first
  // With Request::tools: what became of calls, after `text`. Kinds kCallBegin, kCallArguments, kCallEnd.
  std::vector<text::OutputEvent> tool_calls;
  std::vector<text::TokenId> tokens;  // sampled since the last event, an end token included
  std::vector<TokenLogprob>
      logprobs;  // of `tokens` but an end token: SamplingOptions::logprobs, end_logprobs
  // On the last event of an answer with calls that the model ended: text::Message's, for the next prompt.
  std::shared_ptr<const text::AnswerTokens> answer_tokens;
  std::optional<Finish> finish;  // set on the last event
  std::string stop_string;       // with Finish::kStop: the one of SamplingOptions::stop, if one ended it
  Usage usage;                   // so far
  std::string error;             // with Finish::kError
};

using RequestId = uint64_t;
using EventHandler = std::function<void(const Event&)>;

struct EngineOptions {
  std::string chat_format;     // by name (text/chat/); empty: what the checkpoint says
  std::string adapter;         // a PEFT directory (LoRA), merged into the weights; empty: none
  bool exact = false;          // FP32 arithmetic for quantized weights too: slower, for comparison
  int threads = 0;             // 0: every processor that this process may use
  int64_t context_tokens = 0;  // 0: the model's own, at most 8192
  int max_queue = 256;         // requests waiting or running; one more is refused
  int max_running = 32;        // of these, how many share the model; the others wait

  // The KV cache. Everything here changes speed and memory, never what a request receives, but kv_type.
  std::string kv_type;                      // bf16, fp8 or f32; empty: bf16, or f32 with `exact`
  int64_t kv_memory_bytes = 0;              // 0: a quarter of the free memory, room for a context at least
  std::string kv_directory;                 // pages on disk; empty: in memory only
  int64_t kv_disk_bytes = 0;                // 0: a tenth of the file system, at most 64 GiB
  double kv_ttl_seconds = 7 * 24 * 3600.0;  // on disk, since last use
  double max_itl_ms = 200;  // prompts run in pieces that keep the time between tokens below; 0: whole
};

struct ModelInfo {
  std::string name;          // the model directory's last part, or the file's name
  std::string architecture;  // "DeepseekV3ForCausalLM"
  int64_t context_tokens = 0;
  int64_t vocab_size = 0;
  text::TokenId bos_token = 0;  // config.json's
  int64_t parameters = 0;
  int64_t active_parameters = 0;  // touched for one token
};

class Engine {
 public:
  // Opens a Hugging Face directory or a GGUF file. Throws Error naming the file and what is wrong with it.
  static std::unique_ptr<Engine> open(const std::string& path, const EngineOptions& options);
  // The same with weights in memory, which a trainer changes between requests: `directory` says config,
  // tokenizer and chat format. Used where they lie: FP32 without a copy. No kv_directory.
  static std::unique_ptr<Engine> open(const std::string& directory,
                                      std::unique_ptr<const format::TensorSource> weights,
                                      const EngineOptions& options);
  ~Engine();  // cancels what runs, then joins

  // Of weights in memory: they have changed, and nothing that the KV cache holds counts any more. The
  // weights may be written only while no request is waiting or running: Error{kBadInput} when one is.
  void weights_changed();

  const ModelInfo& info() const;
  const std::shared_ptr<const text::Tokenizer>& tokenizer() const;
  const text::ChatFormat* chat_format() const;  // null: a model without turns

  // Throws Error{kBadInput} for a prompt that is empty, fills the context, or has ids outside the
  // vocabulary, and for sampling options out of range; Error{kResource} when the queue is full.
  RequestId submit(Request request, EventHandler on_event);

  // The request ends with Finish::kCancelled within one token, unless it has ended already.
  void cancel(RequestId id);

  // For Request::guidance. Keeps the grammars that were used last. Throws Error{kBadInput} for a source that
  // is wrong or not supported: "[schema] #/properties/age: ...". Takes its time: up to a second.
  std::shared_ptr<const Grammar> compile(const GrammarSource& source);

  // -ln p(tokens[i + 1] | tokens[0..i]) of every token but the first, [tokens - 1], from one pass between the
  // requests' steps. Waits for it. Throws Error{kBadInput} for fewer than two tokens, more than the context
  // and one, or ids outside the vocabulary, and kResource when the engine stops first.
  std::vector<float> score(std::span<const text::TokenId> tokens);

  EngineMetrics metrics() const;  // as of the last step

 private:
  Engine();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// A text that goes on: after what the model's documents begin with. The caller sets the sampling.
Request text_request(const Engine& engine, std::string_view text);

// A conversation's next answer, in the model's chat format. Throws Error{kBadInput} for a model without one,
// and for messages that have no place in it.
Request chat_request(const Engine& engine, std::span<const text::Message> messages,
                     const text::ChatOptions& options = {});

}  // namespace hadal::engine
