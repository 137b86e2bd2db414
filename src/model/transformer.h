// A model for training: parameters with gradients, forward and hand-written backward in FP32; DeepSeek V2 and
// V3 (MLA, MoE, MTP) and the dense families (Qwen2, Qwen3, Llama). Deterministic: the same weights and tokens
// give the same bits for any number of threads.
#pragma once

#include <cstdint>
#include <functional>
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
  // Empty: each input predicts the next token. Else [rows, length]: what each predicts, -1 for nothing; the
  // head then runs only where there is something. With weights (empty, or [rows, length]) a position's
  // cross-entropy counts that much.
  std::span<const int32_t> targets = {};
  std::span<const float> weights = {};
};

struct LossOptions {
  float mtp_weight = 0;              // lambda of V3 eq. 25; 0 skips the MTP module
  float sequence_balance_alpha = 0;  // alpha of V3 eq. 17
  float gradient_scale = 1;          // 1 / micro-batches of a step
  // The cross-entropies are summed and divided by this; 0: by the batch's own positions that count (by the
  // sum of their weights). A step of several micro-batches that wants the mean over all its tokens says here
  // how many these are; the losses of its micro-batches then add up to that mean.
  double loss_weight = 0;
};

struct LossResult {
  double loss = 0;  // cross-entropy of the main model in nats per token: see LossOptions::loss_weight
  double mtp_loss = 0;
  double balance_loss = 0;
  int64_t tokens = 0;
  // Tokens sent to each routed expert, [moe layers (MTP's last), n_routed_experts].
  std::vector<std::vector<int64_t>> expert_load;
};

// A tile of logits [positions, vocab] and where its rows are in the batch: indices into [rows, length].
using LogitsTile = std::function<void(std::span<const int64_t> positions, tensor::Matrix logits)>;

class Transformer {
 public:
  // Random weights: N(0, init_std) for matrices, 1 for norms, 0 for biases; the same for the same seed.
  static std::unique_ptr<Transformer> create(const ModelConfig& config, uint64_t seed, double init_std);
  // Reads a Hugging Face directory or a GGUF file, in any format that Hadal serves; see WeightStore::load.
  static std::unique_ptr<Transformer> load(const std::string& path);
  ~Transformer();

  const ModelConfig& config() const;
  std::vector<Parameter>& parameters();
  const std::vector<Parameter>& parameters() const;
  int64_t parameter_count() const;

  // Freezes the weights and trains low-rank adapters beside them from here on: see WeightStore::add_adapters.
  // parameters() stay the weights. Before enable_gradients().
  void add_adapters(const LoraOptions& options, uint64_t seed);
  std::vector<Parameter>& adapters();
  const std::vector<Parameter>& adapters() const;
  // What training changes by gradients: the adapters, else the trainable weights, without the MTP module's
  // where it is not trained.
  std::vector<Parameter*> trained(bool with_mtp = true);

  void enable_gradients();  // allocates and zeroes Parameter::grad
  void zero_gradients(base::ThreadPool& pool);

  // Adds gradient_scale * d(loss + mtp_weight * mtp_loss + balance_loss) to Parameter::grad.
  LossResult forward_backward(const TokenBatch& batch, const LossOptions& options, base::ThreadPool& pool);
  // The loss alone. per_token, when not null, receives [rows * length] cross-entropies in nats.
  LossResult evaluate(const TokenBatch& batch, const LossOptions& options, base::ThreadPool& pool,
                      std::vector<float>* per_token = nullptr);

  // Losses of the caller's own (policy gradients, distillation), in two phases. forward() runs the batch and
  // keeps its activations; then one of the backwards, once, adds d(loss)/dw to Parameter::grad, and with
  // options.sequence_balance_alpha the balance loss's. Any other pass in between drops the activations.
  //
  // Fills logprobs [rows * length] with ln p(target) of each position (0 where there is none), and entropies,
  // when not null, with H of its distribution in nats. The batch's spans must live until the backward.
  // LossResult::loss is the mean of -logprobs.
  LossResult forward(const TokenBatch& batch, base::ThreadPool& pool, std::vector<float>& logprobs,
                     std::vector<float>* entropies = nullptr);
  // d_logprobs [rows * length]: the loss's gradient of what forward() gave.
  LossResult backward(std::span<const float> d_logprobs, const LossOptions& options, base::ThreadPool& pool);
  // After forward(): the logits of every position that has a target, in order, a tile at a time.
  void visit_logits(const LogitsTile& see, base::ThreadPool& pool);
  // The same tiles; the caller replaces each row by the loss's gradient of it.
  LossResult backward_logits(const LogitsTile& to_gradient, const LossOptions& options,
                             base::ThreadPool& pool);

  // The routing biases [n_routed_experts] of each MoE layer, in the order of LossResult::expert_load; empty
  // for models without them.
  std::vector<std::span<float>> routing_biases();

 private:
  Transformer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::model
