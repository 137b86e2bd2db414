#include "model/weights.h"

#include <algorithm>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "format/hf_directory.h"

namespace hadal::model {

namespace {

using tensor::Shape;

// Walks over the weights of a config in checkpoint order. The first walk declares (names, shapes, offsets),
// the second binds the places of ModelWeights to memory.
class Walk {
 public:
  Walk(const ModelConfig& config, std::vector<Parameter>& parameters, std::vector<int64_t>& offsets,
       bool declare)
      : config_(config), parameters_(parameters), offsets_(offsets), declare_(declare) {}

  int64_t total() const { return total_; }

  ModelWeights model() {
    ModelWeights w;
    w.embed_tokens = add("model.embed_tokens.weight", {config_.vocab_size, config_.hidden_size});
    for (int64_t layer = 0; layer < config_.num_hidden_layers; ++layer) {
      w.layers.push_back(block("model.layers." + std::to_string(layer) + ".", config_.is_moe_layer(layer)));
    }
    w.norm = add("model.norm.weight", {config_.hidden_size});
    w.lm_head = config_.tie_word_embeddings
                    ? w.embed_tokens
                    : add("lm_head.weight", {config_.vocab_size, config_.hidden_size});
    if (config_.num_nextn_predict_layers > 0) w.mtp = mtp();
    return w;
  }

 private:
  // Offsets are aligned to 64 bytes, except for the second half of a fused pair.
  Weight add(const std::string& name, Shape shape, bool adjacent = false, bool trainable = true) {
    const int64_t rows = shape.size() == 1 ? 1 : shape[0];
    const int64_t cols = shape.back();
    if (declare_) {
      if (!adjacent) total_ = (total_ + 15) / 16 * 16;
      parameters_.push_back({name, std::move(shape), nullptr, nullptr, trainable});
      offsets_.push_back(total_);
      total_ += rows * cols;
      return {nullptr, nullptr, rows, cols};
    }
    const Parameter& parameter = parameters_[next_++];
    return {parameter.value, parameter.grad, rows, cols};
  }

  MlpWeights mlp(const std::string& prefix, int64_t intermediate) {
    MlpWeights w;
    w.gate_up = add(prefix + "gate_proj.weight", {intermediate, config_.hidden_size});
    add(prefix + "up_proj.weight", {intermediate, config_.hidden_size}, /*adjacent=*/true);
    w.gate_up.rows = 2 * intermediate;
    w.down_proj = add(prefix + "down_proj.weight", {config_.hidden_size, intermediate});
    return w;
  }

  AttentionWeights attention(const std::string& prefix) {
    const ModelConfig& c = config_;
    AttentionWeights w;
    const int64_t q_rows = c.num_attention_heads * c.qk_head_dim();
    if (c.q_lora_rank > 0) {
      w.q_a_proj = add(prefix + "q_a_proj.weight", {c.q_lora_rank, c.hidden_size});
      w.q_a_layernorm = add(prefix + "q_a_layernorm.weight", {c.q_lora_rank});
      w.q_b_proj = add(prefix + "q_b_proj.weight", {q_rows, c.q_lora_rank});
    } else {
      w.q_proj = add(prefix + "q_proj.weight", {q_rows, c.hidden_size});
    }
    w.kv_a_proj_with_mqa =
        add(prefix + "kv_a_proj_with_mqa.weight", {c.kv_lora_rank + c.qk_rope_head_dim, c.hidden_size});
    w.kv_a_layernorm = add(prefix + "kv_a_layernorm.weight", {c.kv_lora_rank});
    w.kv_b_proj = add(prefix + "kv_b_proj.weight",
                      {c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim), c.kv_lora_rank});
    w.o_proj = add(prefix + "o_proj.weight", {c.hidden_size, c.num_attention_heads * c.v_head_dim});
    return w;
  }

  MoeWeights moe(const std::string& prefix) {
    const ModelConfig& c = config_;
    MoeWeights w;
    w.gate = add(prefix + "gate.weight", {c.n_routed_experts, c.hidden_size});
    if (c.topk_method == TopkMethod::kNoauxTc) {
      w.e_score_correction_bias =
          add(prefix + "gate.e_score_correction_bias", {c.n_routed_experts}, false, /*trainable=*/false);
    }
    for (int64_t e = 0; e < c.n_routed_experts; ++e) {
      w.experts.push_back(mlp(prefix + "experts." + std::to_string(e) + ".", c.moe_intermediate_size));
    }
    if (c.n_shared_experts > 0) {
      w.shared_experts = mlp(prefix + "shared_experts.", c.n_shared_experts * c.moe_intermediate_size);
    }
    return w;
  }

  BlockWeights block(const std::string& prefix, bool is_moe) {
    BlockWeights w;
    w.input_layernorm = add(prefix + "input_layernorm.weight", {config_.hidden_size});
    w.post_attention_layernorm = add(prefix + "post_attention_layernorm.weight", {config_.hidden_size});
    w.self_attn = attention(prefix + "self_attn.");
    if (is_moe)
      w.moe = moe(prefix + "mlp.");
    else
      w.mlp = mlp(prefix + "mlp.", config_.intermediate_size);
    return w;
  }

  MtpWeights mtp() {
    const std::string prefix = "model.layers." + std::to_string(config_.num_hidden_layers) + ".";
    MtpWeights w;
    w.enorm = add(prefix + "enorm.weight", {config_.hidden_size});
    w.hnorm = add(prefix + "hnorm.weight", {config_.hidden_size});
    w.eh_proj = add(prefix + "eh_proj.weight", {config_.hidden_size, 2 * config_.hidden_size});
    w.block = block(prefix, config_.is_moe_layer(config_.num_hidden_layers));
    w.shared_head_norm = add(prefix + "shared_head.norm.weight", {config_.hidden_size});
    return w;
  }

  const ModelConfig& config_;
  std::vector<Parameter>& parameters_;
  std::vector<int64_t>& offsets_;
  bool declare_;
  int64_t total_ = 0;
  size_t next_ = 0;
};

}  // namespace

WeightStore::WeightStore(const ModelConfig& config, Declared) : config_(config) {
  if (!config_.is_mla()) {
    throw_error(ErrorCode::kUnsupported,
                "[model] {} cannot be trained yet, nor evaluated with the training code; it can be served",
                config_.architecture);
  }
  Walk walk(config_, parameters_, offsets_, /*declare=*/true);
  walk.model();
  total_ = walk.total();
}

WeightStore::WeightStore(const ModelConfig& config) : WeightStore(config, Declared{}) { allocate(); }

void WeightStore::allocate() {
  values_.resize(total_);
  values_.zero();
  bind();
}

WeightStore WeightStore::load(const std::string& model_directory) {
  WeightStore store(load_config(model_directory), Declared{});
  const auto source = format::WeightSource::open(model_directory);
  std::set<std::string> names;
  for (const Parameter& p : store.parameters_) {
    source.check(p.name, p.shape);
    names.insert(p.name);
  }
  source.refuse_unused(names, "");
  store.allocate();
  for (const Parameter& p : store.parameters_) source.read(p.name, p.shape, p.value);
  return store;
}

void WeightStore::bind() {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].value = values_.data() + offsets_[i];
    parameters_[i].grad = gradients_.size() > 0 ? gradients_.data() + offsets_[i] : nullptr;
  }
  weights_ = Walk(config_, parameters_, offsets_, /*declare=*/false).model();
}

int64_t WeightStore::parameter_count() const {
  int64_t n = 0;
  for (const Parameter& p : parameters_) n += p.size();
  return n;
}

void WeightStore::initialise(uint64_t seed, double init_std) {
  for (size_t i = 0; i < parameters_.size(); ++i) {
    const Parameter& p = parameters_[i];
    if (p.shape.size() == 1) {
      std::fill_n(p.value, p.size(), p.trainable ? 1.0f : 0.0f);
      continue;
    }
    // A stream of its own for each weight: adding one leaves the others as they were.
    base::Random random(seed * 0x9E3779B97F4A7C15u + i);
    for (int64_t j = 0; j < p.size(); ++j) p.value[j] = static_cast<float>(random.normal() * init_std);
  }
}

void WeightStore::enable_gradients() {
  if (gradients_.size() > 0) return;
  gradients_.resize(values_.size());
  gradients_.zero();
  bind();
}

}  // namespace hadal::model
