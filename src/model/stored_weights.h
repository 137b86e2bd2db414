// The weights of a model for inference: matrices as the checkpoint stores them (memory-mapped, any registered
// format), vectors as FP32, copied only where they are stored otherwise: weights that a trainer changes in
// its own FP32 memory change here. Training has its own, with gradients: weights.h.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "format/tensor_source.h"
#include "model/config.h"
#include "quant/matrix.h"

namespace hadal::model {

using quant::QuantMatrix;

// A borrowed vector: norms, biases. Empty when the model has none.
struct StoredVector {
  const float* data = nullptr;
  int64_t size = 0;
  bool empty() const { return size == 0; }
};

// kv_b_proj (W_UK and W_UV of each head), in the layout of the checkpoint.
struct KvBProj {
  QuantMatrix stacked;  // [heads * (qk_nope_head_dim + v_head_dim), kv_lora_rank]: Hugging Face, older GGUF
  QuantMatrix k;        // [heads * kv_lora_rank, qk_nope_head_dim]: GGUF's attn_k_b, transposed
  QuantMatrix v;        // [heads * v_head_dim, kv_lora_rank]: attn_v_b
  bool is_split() const { return stacked.empty(); }
};

struct StoredMla {
  QuantMatrix q_proj;  // [heads * qk_head_dim, hidden], without q LoRA
  QuantMatrix q_a_proj, q_b_proj;
  StoredVector q_a_layernorm;
  QuantMatrix kv_a_proj_with_mqa;  // [kv_lora_rank + qk_rope_head_dim, hidden]
  StoredVector kv_a_layernorm;     // [kv_lora_rank]
  KvBProj kv_b_proj;
  QuantMatrix o_proj;  // [hidden, heads * v_head_dim]
};

struct StoredGqa {
  QuantMatrix q_proj, k_proj, v_proj;   // [heads or kv_heads * head_dim, hidden]
  StoredVector q_bias, k_bias, v_bias;  // of the same rows
  StoredVector q_norm, k_norm;          // [head_dim]
  QuantMatrix o_proj;                   // [hidden, heads * head_dim]
  StoredVector o_bias;                  // [hidden]
};

struct StoredMlp {
  QuantMatrix gate_proj, up_proj;  // [intermediate, hidden]
  QuantMatrix down_proj;           // [hidden, intermediate]
  bool empty() const { return down_proj.empty(); }
};

struct StoredMoe {
  QuantMatrix gate;                      // [n_routed_experts, hidden]
  StoredVector e_score_correction_bias;  // [n_routed_experts]; empty without noaux_tc
  std::vector<StoredMlp> experts;        // n_routed_experts
  StoredMlp shared_experts;              // may be empty
};

struct StoredBlock {
  StoredVector input_layernorm, post_attention_layernorm;
  StoredMla mla;  // one of these two, as the config's attention says
  StoredGqa gqa;
  std::optional<StoredMoe> moe;  // else the dense mlp
  StoredMlp mlp;
};

struct StoredMtp {
  StoredVector enorm, hnorm, shared_head_norm;
  QuantMatrix eh_proj;  // [hidden, 2 * hidden]
  StoredBlock block;
};

class StoredWeights {
 public:
  // Takes every weight of the config from the source; an MTP module that the config names and the source does
  // not hold is left out (config() says so). Throws Error{kBadInput} naming the tensor that is missing, of
  // another shape, or without a place in the config.
  StoredWeights(const ModelConfig& config, std::unique_ptr<const format::TensorSource> source);
  StoredWeights(StoredWeights&&) noexcept = default;

  const ModelConfig& config() const { return config_; }
  const format::TensorSource& source() const { return *source_; }
  int64_t parameter_count() const { return parameter_count_; }
  int64_t bytes() const { return source_->bytes(); }
  // Bytes of the matrices that one token of the main model is multiplied with: what a decode step reads.
  int64_t bytes_per_token() const;

  QuantMatrix embed_tokens;  // [vocab, hidden]
  std::vector<StoredBlock> layers;
  StoredVector norm;
  QuantMatrix lm_head;  // embed_tokens where the embeddings are tied
  std::optional<StoredMtp> mtp;

 private:
  class Loader;
  ModelConfig config_;
  std::unique_ptr<const format::TensorSource> source_;
  std::deque<std::vector<float>> vectors_;  // what StoredVector points to, where that is a copy
  int64_t parameter_count_ = 0;
};

}  // namespace hadal::model
