// One sequence in a model: its tokens so far and its KV cache (config.cache_dim() numbers per token and
// layer; FP32 here). Not thread-safe: the engine's thread owns it; the model is immutable and shared.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

#include "base/thread_pool.h"
#include "engine/loaded_model.h"
#include "kernels/quant_gemm.h"
#include "tensor/tensor.h"

namespace hadal::engine {

using kernels::Precision;

class Session {
 public:
  Session(std::shared_ptr<const LoadedModel> model, int64_t context_tokens, Precision precision,
          base::ThreadPool& pool);
  ~Session();

  int64_t position() const;  // tokens so far
  int64_t context_tokens() const;

  // Appends tokens (at least one, as many as fit the context). Returns the logits after the last one,
  // [vocab_size], valid until the next call.
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
