#include "model/stored_weights.h"

#include <cmath>
#include <set>

#include "base/error.h"

namespace hadal::model {

using format::StoredTensor;
using tensor::Shape;

// Walks over the weights of the config, as the checkpoint names them.
class StoredWeights::Loader {
 public:
  explicit Loader(StoredWeights& model) : m_(model), c_(model.config_), source_(*model.source_) {}

  void load() {
    m_.embed_tokens = matrix("model.embed_tokens.weight", c_.vocab_size, c_.hidden_size);
    for (int64_t i = 0; i < c_.num_hidden_layers; ++i) m_.layers.push_back(block(i));
    m_.norm = vector("model.norm.weight", c_.hidden_size);
    m_.lm_head =
        c_.tie_word_embeddings ? m_.embed_tokens : matrix("lm_head.weight", c_.vocab_size, c_.hidden_size);
    // An MTP module that the config does not want is there all the same in some checkpoints.
    const std::string prefix = "model.layers." + std::to_string(c_.num_hidden_layers) + ".";
    const bool has_mtp = source_.find(prefix + "eh_proj.weight").has_value();
    if (c_.num_nextn_predict_layers > 0 && has_mtp) mtp(prefix);
    m_.config_.num_nextn_predict_layers = m_.mtp ? 1 : 0;  // converters often leave the module out
    source_.refuse_unused(used_, has_mtp && !m_.mtp ? prefix : "");
  }

 private:
  static constexpr std::string_view kArea = "model";

  static bool is_aligned(const float* data) {
    return reinterpret_cast<uintptr_t>(data) % alignof(float) == 0;
  }

  std::optional<StoredTensor> find(const std::string& name, const Shape& shape) {
    auto tensor = format::find_tensor(source_, name, shape, kArea);
    if (tensor) count(name, *tensor);
    return tensor;
  }

  StoredTensor get(const std::string& name, const Shape& shape) {
    const StoredTensor tensor = format::get_tensor(source_, name, shape, kArea);
    count(name, tensor);
    return tensor;
  }

  void count(const std::string& name, const StoredTensor& tensor) {
    used_.insert(name);
    m_.parameter_count_ += tensor::element_count(tensor.shape);
  }

  QuantMatrix matrix(const std::string& name, int64_t rows, int64_t cols) {
    return format::stored_matrix(get(name, {rows, cols}));
  }

  StoredVector vector(const std::string& name, int64_t size) {
    const StoredTensor tensor = get(name, {size});
    if (tensor.format->block_elements != 1 || tensor.format->block_scaled) {
      throw_error(ErrorCode::kBadInput, "[model] {}: tensor {}: a vector stored as {}", source_.path(), name,
                  tensor.format->name);
    }
    StoredVector values{reinterpret_cast<const float*>(tensor.bytes.data()), size};
    if (tensor.format->type != quant::WeightType::kF32 || !is_aligned(values.data)) {
      auto& copy = m_.vectors_.emplace_back(static_cast<size_t>(size));
      tensor.format->to_float(tensor.bytes.data(), size, copy.data());
      values.data = copy.data();
    }
    for (int64_t i = 0; i < size; ++i) {
      if (!std::isfinite(values.data[i])) {
        throw_error(ErrorCode::kBadInput, "[model] {}: tensor {}: value {} is {}, not a finite number",
                    source_.path(), name, i, values.data[i]);
      }
    }
    return values;
  }

  StoredMla mla(const std::string& prefix) {
    StoredMla w;
    const int64_t heads = c_.num_attention_heads, latent = c_.kv_lora_rank;
    if (c_.q_lora_rank > 0) {
      w.q_a_proj = matrix(prefix + "q_a_proj.weight", c_.q_lora_rank, c_.hidden_size);
      w.q_a_layernorm = vector(prefix + "q_a_layernorm.weight", c_.q_lora_rank);
      w.q_b_proj = matrix(prefix + "q_b_proj.weight", heads * c_.qk_head_dim(), c_.q_lora_rank);
    } else {
      w.q_proj = matrix(prefix + "q_proj.weight", heads * c_.qk_head_dim(), c_.hidden_size);
    }
    w.kv_a_proj_with_mqa =
        matrix(prefix + "kv_a_proj_with_mqa.weight", latent + c_.qk_rope_head_dim, c_.hidden_size);
    w.kv_a_layernorm = vector(prefix + "kv_a_layernorm.weight", latent);
    // Split: GGUF's attn_k_b and attn_v_b, under names of our own.
    if (const auto k = find(prefix + "k_b_proj.weight", {heads, latent, c_.qk_nope_head_dim})) {
      w.kv_b_proj.k = format::stored_matrix(*k);
      w.kv_b_proj.v = format::stored_matrix(get(prefix + "v_b_proj.weight", {heads, c_.v_head_dim, latent}));
    } else {
      w.kv_b_proj.stacked =
          matrix(prefix + "kv_b_proj.weight", heads * (c_.qk_nope_head_dim + c_.v_head_dim), latent);
    }
    w.o_proj = matrix(prefix + "o_proj.weight", c_.hidden_size, heads * c_.v_head_dim);
    return w;
  }

  StoredGqa gqa(const std::string& prefix) {
    StoredGqa w;
    const int64_t q_rows = c_.num_attention_heads * c_.head_dim,
                  kv_rows = c_.num_key_value_heads * c_.head_dim;
    w.q_proj = matrix(prefix + "q_proj.weight", q_rows, c_.hidden_size);
    w.k_proj = matrix(prefix + "k_proj.weight", kv_rows, c_.hidden_size);
    w.v_proj = matrix(prefix + "v_proj.weight", kv_rows, c_.hidden_size);
    w.o_proj = matrix(prefix + "o_proj.weight", c_.hidden_size, q_rows);
    if (c_.qkv_bias) {
      w.q_bias = vector(prefix + "q_proj.bias", q_rows);
      w.k_bias = vector(prefix + "k_proj.bias", kv_rows);
      w.v_bias = vector(prefix + "v_proj.bias", kv_rows);
    }
    if (c_.o_bias) w.o_bias = vector(prefix + "o_proj.bias", c_.hidden_size);
    if (c_.qk_norm) {
      w.q_norm = vector(prefix + "q_norm.weight", c_.head_dim);
      w.k_norm = vector(prefix + "k_norm.weight", c_.head_dim);
    }
    return w;
  }

  StoredMlp mlp(const std::string& prefix, int64_t intermediate) {
    return {matrix(prefix + "gate_proj.weight", intermediate, c_.hidden_size),
            matrix(prefix + "up_proj.weight", intermediate, c_.hidden_size),
            matrix(prefix + "down_proj.weight", c_.hidden_size, intermediate)};
  }

  StoredMoe moe(const std::string& prefix) {
    StoredMoe w;
    w.gate = matrix(prefix + "gate.weight", c_.n_routed_experts, c_.hidden_size);
    if (c_.topk_method == TopkMethod::kNoauxTc) {
      w.e_score_correction_bias = vector(prefix + "gate.e_score_correction_bias", c_.n_routed_experts);
    }
    for (int64_t e = 0; e < c_.n_routed_experts; ++e) {
      w.experts.push_back(mlp(prefix + "experts." + std::to_string(e) + ".", c_.moe_intermediate_size));
    }
    if (c_.n_shared_experts > 0) {
      w.shared_experts = mlp(prefix + "shared_experts.", c_.n_shared_experts * c_.moe_intermediate_size);
    }
    return w;
  }

  StoredBlock block(int64_t layer) {
    const std::string prefix = "model.layers." + std::to_string(layer) + ".";
    StoredBlock w;
    w.input_layernorm = vector(prefix + "input_layernorm.weight", c_.hidden_size);
    w.post_attention_layernorm = vector(prefix + "post_attention_layernorm.weight", c_.hidden_size);
    if (c_.is_mla())
      w.mla = mla(prefix + "self_attn.");
    else
      w.gqa = gqa(prefix + "self_attn.");
    if (c_.is_moe_layer(layer))
      w.moe = moe(prefix + "mlp.");
    else
      w.mlp = mlp(prefix + "mlp.", c_.intermediate_size);
    return w;
  }

  void mtp(const std::string& prefix) {
    StoredMtp& w = m_.mtp.emplace();
    w.enorm = vector(prefix + "enorm.weight", c_.hidden_size);
    w.hnorm = vector(prefix + "hnorm.weight", c_.hidden_size);
    w.eh_proj = matrix(prefix + "eh_proj.weight", c_.hidden_size, 2 * c_.hidden_size);
    w.block = block(c_.num_hidden_layers);
    w.shared_head_norm = vector(prefix + "shared_head.norm.weight", c_.hidden_size);
  }

  StoredWeights& m_;
  const ModelConfig& c_;
  const format::TensorSource& source_;
  std::set<std::string> used_;
};

StoredWeights::StoredWeights(const ModelConfig& config, std::unique_ptr<const format::TensorSource> source)
    : config_(config), source_(std::move(source)) {
  Loader(*this).load();
}

int64_t StoredWeights::bytes_per_token() const {
  const auto mlp_bytes = [](const StoredMlp& w) {
    return w.gate_proj.bytes() + w.up_proj.bytes() + w.down_proj.bytes();
  };
  const auto sum = [](std::initializer_list<const QuantMatrix*> matrices) {
    int64_t total = 0;
    for (const QuantMatrix* w : matrices) total += w->empty() ? 0 : w->bytes();
    return total;
  };
  int64_t total = lm_head.bytes();
  for (const StoredBlock& w : layers) {
    total += sum({&w.mla.q_proj, &w.mla.q_a_proj, &w.mla.q_b_proj, &w.mla.kv_a_proj_with_mqa,
                  &w.mla.kv_b_proj.stacked, &w.mla.kv_b_proj.k, &w.mla.kv_b_proj.v, &w.mla.o_proj,
                  &w.gqa.q_proj, &w.gqa.k_proj, &w.gqa.v_proj, &w.gqa.o_proj});
    if (!w.moe) {
      total += mlp_bytes(w.mlp);
      continue;
    }
    total += w.moe->gate.bytes() + config_.num_experts_per_tok * mlp_bytes(w.moe->experts.front());
    if (!w.moe->shared_experts.empty()) total += mlp_bytes(w.moe->shared_experts);
  }
  return total;
}

}  // namespace hadal::model
