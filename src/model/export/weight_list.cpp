#include "model/export/weight_list.h"

namespace hadal::model {
namespace {

class List {
 public:
  explicit List(const ModelConfig& config) : c_(config) {}

  std::vector<WeightInfo> take() { return std::move(weights_); }

  void main_model() {
    add("model.embed_tokens.weight", {c_.vocab_size, c_.hidden_size},
        c_.tie_word_embeddings ? WeightRole::kHead : WeightRole::kEmbedding);
    for (int64_t layer = 0; layer < c_.num_hidden_layers; ++layer) block(layer);
    vector("model.norm.weight", c_.hidden_size);
    if (!c_.tie_word_embeddings) add("lm_head.weight", {c_.vocab_size, c_.hidden_size}, WeightRole::kHead);
  }

  void mtp() {
    const std::string prefix = layer_prefix(c_.num_hidden_layers);
    vector(prefix + "enorm.weight", c_.hidden_size);
    vector(prefix + "hnorm.weight", c_.hidden_size);
    add(prefix + "eh_proj.weight", {c_.hidden_size, 2 * c_.hidden_size}, WeightRole::kMtpProj);
    block(c_.num_hidden_layers);
    vector(prefix + "shared_head.norm.weight", c_.hidden_size);
  }

 private:
  static std::string layer_prefix(int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

  void add(const std::string& name, tensor::Shape shape, WeightRole role = WeightRole::kMatrix) {
    weights_.push_back({name, std::move(shape), role});
  }
  void vector(const std::string& name, int64_t size) { add(name, {size}, WeightRole::kVector); }

  void block(int64_t layer) {
    const std::string prefix = layer_prefix(layer);
    vector(prefix + "input_layernorm.weight", c_.hidden_size);
    if (c_.is_mla())
      mla(prefix + "self_attn.");
    else
      gqa(prefix + "self_attn.");
    vector(prefix + "post_attention_layernorm.weight", c_.hidden_size);
    if (c_.is_moe_layer(layer))
      moe(prefix + "mlp.");
    else
      mlp(prefix + "mlp.", c_.intermediate_size);
  }

  void mla(const std::string& prefix) {
    const int64_t heads = c_.num_attention_heads;
    if (c_.q_lora_rank > 0) {
      add(prefix + "q_a_proj.weight", {c_.q_lora_rank, c_.hidden_size});
      vector(prefix + "q_a_layernorm.weight", c_.q_lora_rank);
      add(prefix + "q_b_proj.weight", {heads * c_.qk_head_dim(), c_.q_lora_rank});
    } else {
      add(prefix + "q_proj.weight", {heads * c_.qk_head_dim(), c_.hidden_size});
    }
    add(prefix + "kv_a_proj_with_mqa.weight", {c_.kv_lora_rank + c_.qk_rope_head_dim, c_.hidden_size});
    vector(prefix + "kv_a_layernorm.weight", c_.kv_lora_rank);
    add(prefix + "kv_b_proj.weight", {heads * (c_.qk_nope_head_dim + c_.v_head_dim), c_.kv_lora_rank},
        WeightRole::kKvB);
    add(prefix + "o_proj.weight", {c_.hidden_size, heads * c_.v_head_dim});
  }

  void gqa(const std::string& prefix) {
    const int64_t q_rows = c_.num_attention_heads * c_.head_dim;
    const int64_t kv_rows = c_.num_key_value_heads * c_.head_dim;
    const auto projection = [&](const std::string& name, int64_t rows) {
      add(prefix + name + ".weight", {rows, c_.hidden_size});
      if (c_.qkv_bias) vector(prefix + name + ".bias", rows);
    };
    projection("q_proj", q_rows);
    projection("k_proj", kv_rows);
    projection("v_proj", kv_rows);
    if (c_.qk_norm) {
      vector(prefix + "q_norm.weight", c_.head_dim);
      vector(prefix + "k_norm.weight", c_.head_dim);
    }
    add(prefix + "o_proj.weight", {c_.hidden_size, q_rows});
    if (c_.o_bias) vector(prefix + "o_proj.bias", c_.hidden_size);
  }

  void mlp(const std::string& prefix, int64_t intermediate) {
    add(prefix + "gate_proj.weight", {intermediate, c_.hidden_size});
    add(prefix + "up_proj.weight", {intermediate, c_.hidden_size});
    add(prefix + "down_proj.weight", {c_.hidden_size, intermediate});
  }

  void moe(const std::string& prefix) {
    add(prefix + "gate.weight", {c_.n_routed_experts, c_.hidden_size}, WeightRole::kRouter);
    if (c_.topk_method == TopkMethod::kNoauxTc)
      vector(prefix + "gate.e_score_correction_bias", c_.n_routed_experts);
    for (int64_t e = 0; e < c_.n_routed_experts; ++e) {
      mlp(prefix + "experts." + std::to_string(e) + ".", c_.moe_intermediate_size);
    }
    if (c_.n_shared_experts > 0)
      mlp(prefix + "shared_experts.", c_.n_shared_experts * c_.moe_intermediate_size);
  }

  const ModelConfig& c_;
  std::vector<WeightInfo> weights_;
};

}  // namespace

std::vector<WeightInfo> weight_list(const ModelConfig& config, bool with_mtp) {
  List list(config);
  list.main_model();
  if (with_mtp) list.mtp();
  return list.take();
}

}  // namespace hadal::model
