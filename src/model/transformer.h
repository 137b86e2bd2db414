// A DeepSeek V2/V3 model for training: parameters with gradients, forward and hand-written backward in FP32.
// Deterministic: the same weights and tokens give the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "model/config.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace hadal::model {

// rows sequences of `length` inputs; tokens is [rows, length + 1]: inputs are [:, :-1], targets [:, 1:]. With
// `document_start` (empty, or [rows, length]: the position where the token's document begins) attention does
// not cross documents.
struct TokenBatch {
  int64_t rows = 0;
  int64_t length = 0;
  std::span<const int32_t> tokens;
  std::span<const int32_t> document_start;
};

struct LossOptions {
  float mtp_weight = 0;              // lambda of V3 eq. 25; 0 skips the MTP module
  float sequence_balance_alpha = 0;  // alpha of V3 eq. 17
  float gradient_scale = 1;          // 1 / micro-batches of a step
};

struct LossResult {
  double loss = 0;  // mean cross-entropy in nats per token of the main model
  double mtp_loss = 0;
  double balance_loss = 0;
  int64_t tokens = 0;
  // Tokens sent to each routed expert, [moe layers (MTP's last), n_routed_experts].
  std::vector<std::vector<int64_t>> expert_load;
};

class Transformer {
 public:
  // Random weights: N(0, init_std) for matrices, 1 for norms, 0 for biases; the same for the same seed.
  static std::unique_ptr<Transformer> create(const ModelConfig& config, uint64_t seed, double init_std);
  // Reads a Hugging Face directory (see format/hf_directory.h) and checks every shape against the config.
  static std::unique_ptr<Transformer> load(const std::string& model_directory);
  ~Transformer();

  const ModelConfig& config() const;
  std::vector<Parameter>& parameters();
  const std::vector<Parameter>& parameters() const;
  int64_t parameter_count() const;

  void enable_gradients();  // allocates and zeroes Parameter::grad
  void zero_gradients(base::ThreadPool& pool);

  // Adds gradient_scale * d(loss + mtp_weight * mtp_loss + balance_loss) to Parameter::grad.
  LossResult forward_backward(const TokenBatch& batch, const LossOptions& options, base::ThreadPool& pool);
  // The loss alone. per_token, when not null, receives [rows * length] cross-entropies in nats.
  LossResult evaluate(const TokenBatch& batch, const LossOptions& options, base::ThreadPool& pool,
                      std::vector<float>* per_token = nullptr);

  // The routing biases [n_routed_experts] of each MoE layer, in the order of LossResult::expert_load; empty
  // for models without them.
  std::vector<std::span<float>> routing_biases();

 private:
  Transformer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::model
