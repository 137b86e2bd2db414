// Rollouts: answers sampled from the model that is being trained, by the inference engine in the same process
// (continuous batching, KV pages, shared prefixes) on the trainer's own weights (ADR 0018). Sampled at
// temperature 1 without cuts, so that a token's log-probability is that of the policy itself.
//
// The same weights, prompts and seed give the same answers, bit for bit, whatever runs beside (an answer does
// not depend on its batch). Not thread-safe; the engine's thread works only inside sample().
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "engine/engine.h"
#include "eval/tasks/prompt_template.h"
#include "model/transformer.h"

namespace hadal::posttrain {

struct Answer {
  std::vector<text::TokenId> tokens;  // an end token included
  std::vector<float> logprobs;        // [tokens]: ln p of each when it was sampled
  std::string text;                   // of the tokens, control tokens that stand for no text left out
  bool ended = false;                 // by an end token or SampleOptions::stop; else cut at max_tokens
  bool opened = false;                // the prompt ended with <think>: the text begins as reasoning
};

struct RolloutOptions {
  int64_t context_tokens = 0;  // of prompt and answer; 0: the model's own
  int max_running = 128;       // answers that share the model's steps
  int threads = 1;
  bool bf16_cache = false;  // KV pages in BF16: half the memory, and log-probabilities that differ
};

struct SampleOptions {
  int answers = 1;       // of each prompt
  int max_tokens = 128;  // of each answer
  uint64_t seed = 1;
  float temperature = 1;  // 0: the likeliest tokens, for evaluation
  // An answer ends with this text, which belongs to it, as in `hadal eval tasks` (PromptTemplate::stop);
  // empty: only with an end token.
  std::string_view stop = {};
};

struct RolloutCost {
  int64_t prompt_tokens = 0;  // of all answers
  int64_t cached_tokens = 0;  // of these, taken from another answer's pages
  int64_t answer_tokens = 0;
  double seconds = 0;
};

class Rollout {
 public:
  // directory: a Hugging Face directory or a GGUF file with the model's config and tokenizer. The model must
  // outlive this.
  Rollout(const model::Transformer& model, const std::string& directory, const RolloutOptions& options);
  ~Rollout();

  const text::Tokenizer& tokenizer() const { return *engine_->tokenizer(); }
  // The problem as the template has it: a user's message in the model's chat format, or the beginning of a
  // document.
  std::vector<text::TokenId> prompt(const eval::PromptTemplate& how, const eval::Problem& problem) const;

  // Whether it ends with <think>.
  bool opens_reasoning(std::span<const text::TokenId> prompt) const;

  // After the weights were written.
  void weights_changed() { engine_->weights_changed(); }

  // [prompts][options.answers]. Throws Error: what the engine says of a prompt, and kInternal when an answer
  // fails.
  std::vector<std::vector<Answer>> sample(std::span<const std::vector<text::TokenId>> prompts,
                                          const SampleOptions& options, RolloutCost* cost = nullptr);

 private:
  std::unique_ptr<engine::Engine> engine_;
};

// What the template finds in an answer.
eval::ParsedCompletion parse(const eval::PromptTemplate& how, const Answer& answer);

}  // namespace hadal::posttrain
