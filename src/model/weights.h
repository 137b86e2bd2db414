// The weights of a model by place, in FP32 with gradients, and the store that owns them under their
// checkpoint names: for training. Inference has its own: stored_weights.h.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "model/config.h"
#include "model/lora.h"
#include "ops/low_rank.h"
#include "tensor/tensor.h"

namespace hadal::model {

struct Parameter {
  std::string name;  // as in the checkpoint: "model.layers.3.self_attn.kv_b_proj.weight"
  tensor::Shape shape;
  float* value = nullptr;  // element_count(shape)
  float* grad = nullptr;   // the same; null while gradients are off
  bool trainable = true;   // false: e_score_correction_bias, which the balancing rule moves
  int64_t size() const { return tensor::element_count(shape); }
};

// A borrowed weight: [rows, cols], or [cols] for a vector (rows = 1). Empty when the model has none.
struct Weight {
  float* value = nullptr;
  float* grad = nullptr;  // null: gradients are off, or the weight is frozen
  int64_t rows = 0;
  int64_t cols = 0;
  std::vector<ops::LowRank> adapters = {};

  bool empty() const { return rows == 0; }
  tensor::ConstMatrix matrix() const { return {value, rows, cols, cols}; }
  tensor::Matrix gradient() const { return {grad, rows, cols, cols}; }
};

// MLA's or GQA's.
struct AttentionWeights {
  Weight q_proj;                             // [heads * qk_head_dim, hidden], without q LoRA
  Weight q_a_proj, q_a_layernorm, q_b_proj;  // with it
  Weight kv_a_proj_with_mqa;                 // [kv_lora_rank + qk_rope_head_dim, hidden]
  Weight kv_a_layernorm;                     // [kv_lora_rank]
  Weight kv_b_proj;                          // [heads * (qk_nope_head_dim + v_head_dim), kv_lora_rank]
  Weight o_proj;                             // [hidden, heads * v_head_dim]
  Weight k_proj, v_proj;                     // GQA: [kv_heads * head_dim, hidden]
  Weight q_bias, k_bias, v_bias, o_bias;     // GQA: of the rows of these; may be empty
  Weight q_norm, k_norm;                     // GQA: [head_dim]; may be empty
};

struct MlpWeights {
  Weight gate_up;    // [2 * intermediate, hidden]: gate_proj above up_proj, adjacent in memory
  Weight down_proj;  // [hidden, intermediate]
};

struct MoeWeights {
  Weight gate;                      // [n_routed_experts, hidden]
  Weight e_score_correction_bias;   // [n_routed_experts]; empty without noaux_tc
  std::vector<MlpWeights> experts;  // n_routed_experts
  MlpWeights shared_experts;        // intermediate = n_shared_experts * moe_intermediate_size; may be empty
};

struct BlockWeights {
  Weight input_layernorm, post_attention_layernorm;
  AttentionWeights self_attn;
  std::optional<MoeWeights> moe;  // else the dense mlp
  MlpWeights mlp;
};

// The multi-token-prediction module, "layer" num_hidden_layers of the checkpoint. Embedding and head are
// shared.
struct MtpWeights {
  Weight enorm, hnorm, eh_proj, shared_head_norm;
  BlockWeights block;
};

struct ModelWeights {
  Weight embed_tokens;
  std::vector<BlockWeights> layers;
  Weight norm;
  Weight lm_head;  // embed_tokens where the embeddings are tied
  std::optional<MtpWeights> mtp;
};

class WeightStore {
 public:
  // Allocates every weight of the config, as zeros.
  explicit WeightStore(const ModelConfig& config);
  // Reads a Hugging Face directory or a GGUF file, every format to FP32; Llama's q and k of a GGUF file get
  // Hugging Face's order of RoPE's pairs. An MTP module that the config names and the checkpoint does not
  // hold is left out. Every shape is checked before memory is taken: a config may lie about sizes. Throws
  // Error naming the tensor that is missing, of another shape, or without a place in the config.
  static WeightStore load(const std::string& path);

  const ModelConfig& config() const { return config_; }
  std::vector<Parameter>& parameters() { return parameters_; }
  const std::vector<Parameter>& parameters() const { return parameters_; }
  const ModelWeights& weights() const { return weights_; }
  int64_t parameter_count() const;

  void initialise(uint64_t seed, double init_std);  // N(0, init_std); norms 1, biases 0

  // Freezes every weight and puts an adapter beside each module of options.targets: A uniform in +-1 /
  // sqrt(cols) from the seed, B zero. Before gradients are on.
  void add_adapters(const LoraOptions& options, uint64_t seed);
  // A and B of each module in turn, under PEFT's names; empty without adapters.
  std::vector<Parameter>& adapters() { return adapters_; }
  const std::vector<Parameter>& adapters() const { return adapters_; }

  void enable_gradients();  // of the adapters where there are any, else of the weights
  tensor::Buffer& gradients() { return gradients_; }

 private:
  struct Declared {};  // only names, shapes and offsets
  WeightStore(const ModelConfig& config, Declared);
  static WeightStore load_gguf(const std::string& path);
  void allocate();
  void bind();

  ModelConfig config_;
  tensor::Buffer values_, gradients_;
  std::vector<Parameter> parameters_;
  std::vector<int64_t> offsets_;  // of each parameter in both buffers
  int64_t total_ = 0;             // elements of a buffer
  tensor::Buffer adapter_values_;
  std::vector<Parameter> adapters_;
  float adapter_scale_ = 1;
  ModelWeights weights_;
};

}  // namespace hadal::model
