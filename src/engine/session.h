// One sequence in a model: its tokens so far and its latent KV cache (MLA: kv_lora_rank + qk_rope_head_dim
// numbers per token and layer, normed and rotated; FP32 here). Prompts run in the expanded form, single
// tokens in the absorbed form (DeepSeek-V2 report, appendix C); both give the reference's logits. Not
// thread-safe: the engine's thread owns it; the model is immutable and shared.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>

#include "base/thread_pool.h"
#include "model/config.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace hadal::engine {

// Immutable weights of one model, FP32, ready for inference; shared by its sessions.
class LoadedModel {
 public:
  // Reads a Hugging Face directory. Throws Error naming file, tensor and values.
  static std::shared_ptr<const LoadedModel> load(const std::string& model_directory);

  const model::ModelConfig& config() const { return store_.config(); }
  const model::ModelWeights& weights() const { return store_.weights(); }
  int64_t parameter_count() const { return store_.parameter_count(); }  // the MTP module included
  int64_t active_parameter_count()
      const;  // matrices that one token is multiplied with, and its embedding row

 private:
  explicit LoadedModel(model::WeightStore store) : store_(std::move(store)) {}
  model::WeightStore store_;
};

class Session {
 public:
  Session(std::shared_ptr<const LoadedModel> model, int64_t context_tokens, base::ThreadPool& pool);
  ~Session();

  int64_t position() const;  // tokens so far
  int64_t context_tokens() const;

  // Appends tokens (at least one, as many as fit the context). Returns the logits after the last one,
  // [vocab_size], valid until the next call. One token alone takes the absorbed form, several the expanded
  // one.
  std::span<const float> append(std::span<const int32_t> tokens);

  // The same, with the logits of every position into `logits` [tokens, vocab_size] (prefill), and, where
  // `mtp_logits` has rows, those of the MTP module [tokens - 1, vocab_size] (row i predicts token i + 2;
  // needs position 0 and a model with the module).
  void append_all(std::span<const int32_t> tokens, tensor::Matrix logits, tensor::Matrix mtp_logits = {});

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::engine
