#include "model/weights.h"

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "format/gguf.h"
#include "format/hf_directory.h"
#include "model/export/checkpoint_filler.h"
#include "model/gguf_config.h"
#include "model/gguf_source.h"

namespace hadal::model {

namespace {

using tensor::Shape;

// Walks over the weights of a config in checkpoint order. The first walk declares (names, shapes, offsets),
// the second binds the places of ModelWeights to memory.
class Walk {
 public:
  using Adapters = std::map<std::string, ops::LowRank>;  // by the weight's name

  Walk(const ModelConfig& config, std::vector<Parameter>& parameters, std::vector<int64_t>& offsets,
       bool declare, const Adapters& adapters = {})
      : config_(config), parameters_(parameters), offsets_(offsets), declare_(declare), adapters_(adapters) {}

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
    Weight weight{parameter.value, parameter.grad, rows, cols};
    if (const auto it = adapters_.find(name); it != adapters_.end()) weight.adapters.push_back(it->second);
    return weight;
  }

  MlpWeights mlp(const std::string& prefix, int64_t intermediate) {
    MlpWeights w;
    w.gate_up = add(prefix + "gate_proj.weight", {intermediate, config_.hidden_size});
    const Weight up = add(prefix + "up_proj.weight", {intermediate, config_.hidden_size}, /*adjacent=*/true);
    w.gate_up.rows = 2 * intermediate;
    for (ops::LowRank adapter : up.adapters) {
      adapter.row = intermediate;
      w.gate_up.adapters.push_back(adapter);
    }
    w.down_proj = add(prefix + "down_proj.weight", {config_.hidden_size, intermediate});
    return w;
  }

  AttentionWeights attention(const std::string& prefix) {
    const ModelConfig& c = config_;
    if (!c.is_mla()) return grouped_attention(prefix);
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

  AttentionWeights grouped_attention(const std::string& prefix) {
    const ModelConfig& c = config_;
    AttentionWeights w;
    const int64_t q_rows = c.num_attention_heads * c.head_dim, kv_rows = c.num_key_value_heads * c.head_dim;
    w.q_proj = add(prefix + "q_proj.weight", {q_rows, c.hidden_size});
    w.k_proj = add(prefix + "k_proj.weight", {kv_rows, c.hidden_size});
    w.v_proj = add(prefix + "v_proj.weight", {kv_rows, c.hidden_size});
    w.o_proj = add(prefix + "o_proj.weight", {c.hidden_size, q_rows});
    if (c.qkv_bias) {
      w.q_bias = add(prefix + "q_proj.bias", {q_rows});
      w.k_bias = add(prefix + "k_proj.bias", {kv_rows});
      w.v_bias = add(prefix + "v_proj.bias", {kv_rows});
    }
    if (c.o_bias) w.o_bias = add(prefix + "o_proj.bias", {c.hidden_size});
    if (c.qk_norm) {
      w.q_norm = add(prefix + "q_norm.weight", {c.head_dim});
      w.k_norm = add(prefix + "k_norm.weight", {c.head_dim});
    }
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
  const Adapters adapters_;
  int64_t total_ = 0;
  size_t next_ = 0;
};

// Converters often leave the MTP module out: then the config names none from here on. Returns the prefix of a
// module that is there and not wanted, or nothing.
std::string leave_out_missing_mtp(const format::TensorSource& source, ModelConfig& config) {
  const std::string prefix = "model.layers." + std::to_string(config.num_hidden_layers) + ".";
  const bool is_there = source.find(prefix + "eh_proj.weight").has_value();
  if (!is_there) config.num_nextn_predict_layers = 0;
  return is_there && config.num_nextn_predict_layers == 0 ? prefix : std::string();
}

int64_t aligned(int64_t elements) { return (elements + 15) / 16 * 16; }

}  // namespace

WeightStore::WeightStore(const ModelConfig& config, Declared) : config_(config) {
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

WeightStore WeightStore::load(const std::string& path) {
  if (!std::filesystem::is_directory(path)) return load_gguf(path);
  ModelConfig config = load_config(path);
  const auto source = format::WeightSource::open(path);
  const std::string mtp = leave_out_missing_mtp(source, config);
  WeightStore store(config, Declared{});
  std::set<std::string> names;
  for (const Parameter& p : store.parameters_) {
    source.check(p.name, p.shape);
    names.insert(p.name);
  }
  source.refuse_unused(names, mtp);
  store.allocate();
  for (const Parameter& p : store.parameters_) source.read(p.name, p.shape, p.value);
  return store;
}

WeightStore WeightStore::load_gguf(const std::string& path) {
  auto file = std::make_shared<const format::GgufFile>(path);
  const ModelConfig stored = parse_config(config_from_gguf(*file), path);
  const GgufSource source(std::move(file), std::string(gguf_architecture(stored)));
  ModelConfig config = stored;
  config.rope_interleave = stored.is_mla();  // Llama's q and k go back to Hugging Face's order
  const std::string mtp = leave_out_missing_mtp(source, config);
  WeightStore store(config, Declared{});
  const auto& format = quant::weight_format(quant::WeightType::kF32);
  CheckpointFiller filler(source, stored, /*to_gguf=*/false, nullptr);
  std::set<std::string> names;
  const auto planned = [&](const Parameter& p) { return PlannedTensor{p.name, p.shape, &format, p.name}; };
  for (const Parameter& p : store.parameters_) {
    filler.begin(planned(p));  // checks that it is there, and its shape
    names.insert(p.name);
    if (p.name.ends_with("kv_b_proj.weight")) {
      const std::string prefix = p.name.substr(0, p.name.rfind("kv_b_proj"));
      names.insert({prefix + "k_b_proj.weight", prefix + "v_b_proj.weight"});
    }
  }
  source.refuse_unused(names, mtp);
  store.allocate();
  for (const Parameter& p : store.parameters_) {
    const PlannedTensor tensor = planned(p);
    filler.begin(tensor);
    filler.fill(tensor, 0, tensor.rows(), reinterpret_cast<std::byte*>(p.value), nullptr);
  }
  return store;
}

void WeightStore::bind() {
  const bool adapted = !adapters_.empty(), graded = gradients_.size() > 0;
  for (size_t i = 0; i < parameters_.size(); ++i) {
    parameters_[i].value = values_.data() + offsets_[i];
    parameters_[i].grad = graded && !adapted ? gradients_.data() + offsets_[i] : nullptr;
  }
  Walk::Adapters by_weight;
  int64_t offset = 0;
  for (size_t i = 0; i < adapters_.size(); i += 2) {
    Parameter &a = adapters_[i], &b = adapters_[i + 1];
    for (Parameter* p : {&a, &b}) {
      p->value = adapter_values_.data() + offset;
      p->grad = graded ? gradients_.data() + offset : nullptr;
      offset += aligned(p->size());
    }
    const int64_t rank = a.shape[0], cols = a.shape[1], rows = b.shape[0];
    ops::LowRank& adapter = by_weight[lora_module_of(a.name) + ".weight"];
    adapter.a = tensor::matrix(a.value, rank, cols);
    adapter.b = tensor::matrix(b.value, rows, rank);
    if (graded) {
      adapter.d_a = tensor::matrix(a.grad, rank, cols);
      adapter.d_b = tensor::matrix(b.grad, rows, rank);
    }
    adapter.scale = adapter_scale_;
  }
  weights_ = Walk(config_, parameters_, offsets_, /*declare=*/false, by_weight).model();
}

void WeightStore::add_adapters(const LoraOptions& options, uint64_t seed) {
  HADAL_CHECK(gradients_.size() == 0 && adapters_.empty());
  int64_t total = 0;
  for (const LoraModule& module : lora_modules(config_, options.targets)) {
    adapters_.push_back({lora_tensor_name(module.name, 'A'), {options.rank, module.cols}});
    adapters_.push_back({lora_tensor_name(module.name, 'B'), {module.rows, options.rank}});
    total += aligned(adapters_.back().size()) + aligned(options.rank * module.cols);
  }
  adapter_scale_ = static_cast<float>(options.alpha / static_cast<double>(options.rank));
  adapter_values_.resize(total);
  adapter_values_.zero();
  bind();
  for (size_t i = 0; i < adapters_.size(); i += 2) {
    const Parameter& a = adapters_[i];
    base::Random random(seed * 0x9E3779B97F4A7C15u + 0x10000 + i);
    const double bound = 1 / std::sqrt(static_cast<double>(a.shape[1]));
    for (int64_t j = 0; j < a.size(); ++j) {
      a.value[j] = static_cast<float>((2 * random.uniform() - 1) * bound);
    }
  }
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
      const bool norm = p.trainable && !p.name.ends_with(".bias");
      std::fill_n(p.value, p.size(), norm ? 1.0f : 0.0f);
      continue;
    }
    // A stream of its own for each weight: adding one leaves the others as they were.
    base::Random random(seed * 0x9E3779B97F4A7C15u + i);
    for (int64_t j = 0; j < p.size(); ++j) p.value[j] = static_cast<float>(random.normal() * init_std);
  }
}

void WeightStore::enable_gradients() {
  if (gradients_.size() > 0) return;
  gradients_.resize(adapters_.empty() ? values_.size() : adapter_values_.size());
  gradients_.zero();
  bind();
}

}  // namespace hadal::model
