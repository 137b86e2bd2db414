// One sequence in a model: its tokens so far and its latent KV cache (MLA: kv_lora_rank + qk_rope_head_dim numbers
// per token and layer, normed and rotated; FP32 here). Prompts run in the expanded form, single tokens in the
// absorbed form (DeepSeek-V2 report, appendix C); both give the reference's logits. Not thread-safe: the engine's
// thread owns it; the model is immutable and shared.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/thread_pool.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace hadal::engine {

// Immutable weights of one model, ready for inference.
class LoadedModel {
 public:
  static std::shared_ptr<const LoadedModel> load(const std::string& model_directory);
  virtual ~LoadedModel() = default;
  virtual const model::ModelConfig& config() const = 0;
  virtual int64_t parameter_count() const = 0;         // as stored, MTP module included
  virtual int64_t active_parameter_count() const = 0;  // touched for one token
};

class Session {
 public:
  Session(std::shared_ptr<const LoadedModel> model, int64_t context_tokens, base::ThreadPool& pool);
  ~Session();

  int64_t position() const;  // tokens so far
  int64_t context_tokens() const;

  // Appends tokens (any number that fits the context). Returns the logits after the last one, [vocab_size],
  // valid until the next call. The bits do not depend on how a prompt is cut into calls of more than one token.
  std::span<const float> append(std::span<const int32_t> tokens);

  // The same, with the logits of every position into `logits` [tokens, vocab_size] (prefill), and, where `mtp_logits`
  // has rows, those of the MTP module [tokens - 1, vocab_size] (row i predicts token i + 2; position must be 0).
  void append_all(std::span<const int32_t> tokens, tensor::Matrix logits, tensor::Matrix mtp_logits = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::engine
