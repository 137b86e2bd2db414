#include "model/gguf_config.h"

#include <algorithm>
#include <cmath>
#include <numbers>
#include <optional>

#include "base/error.h"

namespace hadal::model {
namespace {

using base::Json;
using format::GgufFile;
using format::GgufValue;

// expert_gating_func as llama.cpp numbers it.
constexpr int64_t kGatingSoftmax = 1;
constexpr int64_t kGatingSigmoid = 2;
// GGUF's yarn_log_multiplier is mscale_all_dim times this: the 0.1 of YaRN's 0.1 ln(factor) + 1.
constexpr double kYarnLog = 0.1;
constexpr int64_t kMaxCount = int64_t{1} << 40;
constexpr int64_t kMaxRopeFactors = 1 << 16;
constexpr int64_t kLiteLayers = 27;

// FP32 numbers come from decimal ones: the shortest decimal that gives the same FP32.
double shortest(double value) {
  const auto single = static_cast<float>(value);
  if (static_cast<double>(single) != value || !std::isfinite(value)) return value;
  return std::stod(fmt::format("{}", single));
}

// The keys "<architecture>.<name>" of a file.
class Keys {
 public:
  explicit Keys(const GgufFile& file) : file_(file) {
    const GgufValue* value = file.find_value("general.architecture");
    if (value == nullptr) {
      throw_error(ErrorCode::kBadInput, "[gguf] {}: general.architecture is missing: is it a model?",
                  file.path());
    }
    architecture_ = std::string(value->text());
  }

  const std::string& architecture() const { return architecture_; }
  const GgufFile& file() const { return file_; }

  const GgufValue* find(std::string_view name) const {
    return file_.find_value(architecture_ + "." + std::string(name));
  }
  const GgufValue& get(std::string_view name) const {
    const GgufValue* value = find(name);
    if (value == nullptr) fail(name, "is missing");
    return *value;
  }
  // A count. Bounded far above any model's, so that arithmetic on it cannot overflow.
  int64_t integer(std::string_view name) const { return bounded(name, get(name)); }
  int64_t integer(std::string_view name, int64_t fallback) const {
    const GgufValue* value = find(name);
    return value != nullptr ? bounded(name, *value) : fallback;
  }
  double number(std::string_view name, double fallback) const {
    const GgufValue* value = find(name);
    return value != nullptr ? shortest(value->number()) : fallback;
  }
  bool has_tensor(const std::string& name) const { return file_.find_tensor(name) != nullptr; }

  [[noreturn]] void fail(std::string_view name, const std::string& reason) const {
    throw_error(ErrorCode::kBadInput, "[gguf] {}: {}.{} {}", file_.path(), architecture_, name, reason);
  }
  [[noreturn]] void unsupported(std::string_view name, const std::string& reason) const {
    throw_error(ErrorCode::kUnsupported, "[gguf] {}: {}.{}: {} is not supported", file_.path(), architecture_,
                name, reason);
  }

 private:
  int64_t bounded(std::string_view name, const GgufValue& value) const {
    const int64_t count = value.integer();
    if (count < 0 || count > kMaxCount) fail(name, fmt::format("is {}: not a size", count));
    return count;
  }

  const GgufFile& file_;
  std::string architecture_;
};

// Keys of other models' features that change the arithmetic, with the value at which they do not.
void refuse_unsupported(const Keys& keys) {
  constexpr std::pair<std::string_view, double> kFeatures[] = {
      {"attention.sliding_window", 0},
      {"attention.temperature_scale", 0},
      {"attention.scale", 0},
      {"attn_logit_softcapping", 0},
      {"final_logit_softcapping", 0},
      {"logit_scale", 1},
      {"residual_scale", 1},
      {"embedding_scale", 1},
      {"rope.scaling.attn_factor", 1},
      {"rope.scale_linear", 1},
      {"rope.scaling.yarn_ext_factor", 1},
  };
  for (const auto& [name, neutral] : kFeatures) {
    if (const GgufValue* value = keys.find(name); value != nullptr && value->number() != neutral) {
      keys.unsupported(name, fmt::format("{}", value->number()));
    }
  }
  if (const GgufValue* causal = keys.find("attention.causal"); causal != nullptr && !causal->boolean()) {
    keys.unsupported("attention.causal", "false");
  }
}

int64_t vocab_size(const Keys& keys) {
  const auto* embedding = keys.file().find_tensor("token_embd.weight");
  const int64_t fallback = embedding != nullptr && embedding->shape.size() == 2 ? embedding->shape[0] : 0;
  const int64_t size = keys.integer("vocab_size", fallback);
  if (size == 0) keys.fail("vocab_size", "is missing");
  return size;
}

void read_tokens(const GgufFile& file, Json& json) {
  if (const GgufValue* bos = file.find_value("tokenizer.ggml.bos_token_id"))
    json["bos_token_id"] = bos->integer();
  const GgufValue* eos = file.find_value("tokenizer.ggml.eos_token_id");
  const GgufValue* eot = file.find_value("tokenizer.ggml.eot_token_id");
  if (eos == nullptr) return;
  json["eos_token_id"] = eos->integer();
  if (eot != nullptr && eot->integer() != eos->integer())
    json["eos_token_id"] = {eos->integer(), eot->integer()};
}

void read_yarn(const Keys& keys, Json& json) {
  const GgufValue* type = keys.find("rope.scaling.type");
  if (type == nullptr) {
    if (keys.number("rope.scaling.factor", 1) != 1)
      keys.unsupported("rope.scaling.factor", "without a type it");
    return;
  }
  if (type->text() == "none") return;
  if (type->text() != "yarn") {
    keys.unsupported("rope.scaling.type", fmt::format("\"{}\"", type->text()));
  }
  Json yarn = {{"type", "yarn"},
               {"factor", shortest(keys.get("rope.scaling.factor").number())},
               {"original_max_position_embeddings", keys.integer("rope.scaling.original_context_length")},
               {"beta_fast", keys.number("rope.scaling.yarn_beta_fast", 32)},
               {"beta_slow", keys.number("rope.scaling.yarn_beta_slow", 1)}};
  // llama.cpp takes mscale to be mscale_all_dim, and for 1 where the key is missing.
  if (const GgufValue* multiplier = keys.find("rope.scaling.yarn_log_multiplier")) {
    const double all = shortest(static_cast<float>(shortest(multiplier->number()) / kYarnLog));
    yarn["mscale_all_dim"] = all;
    yarn["mscale"] = all != 0 ? all : 1.0;
  } else {
    yarn["mscale_all_dim"] = 0.0;
    yarn["mscale"] = 1.0;
  }
  // Multiplies the default 0.1 ln(factor) + 1, as "attn_factor" does (DeepSeek-R1-0528-Qwen3-8B).
  if (const GgufValue* factor = keys.find("rope.scaling.yarn_attn_factor"); factor && factor->number() != 1) {
    yarn["attn_factor"] = shortest(factor->number());
  }
  json["rope_scaling"] = yarn;
}

bool near(const std::vector<float>& a, const std::vector<float>& b) {
  return std::equal(a.begin(), a.end(), b.begin(), b.end(),
                    [](float x, float y) { return std::abs(x - y) <= 1e-4f * std::abs(y); });
}

// The scaling whose factors the file holds. Between the frequencies that stay (factor 1) and those that are
// all divided by `factor`, (1 / f - 1 / factor) / (1 - 1 / factor) is a straight line in 1 / wavelength:
//   original / (high - low) / wavelength - low / (high - low)
// original itself is free (only its ratio to low and high counts), so the released models' 8192 is taken.
std::optional<Llama3Scaling> find_llama3(const std::vector<float>& factors, double rope_theta) {
  const auto head_dim = static_cast<int64_t>(factors.size()) * 2;
  Llama3Scaling scaling;
  scaling.factor = shortest(*std::max_element(factors.begin(), factors.end()));
  if (near(llama3_rope_factors(scaling, head_dim, rope_theta), factors)) return scaling;
  if (scaling.factor <= 1) return std::nullopt;
  std::vector<std::pair<double, double>> points;  // 1 / wavelength, smooth
  for (size_t i = 0; i < factors.size(); ++i) {
    const double smooth =
        (1 / static_cast<double>(factors[i]) - 1 / scaling.factor) / (1 - 1 / scaling.factor);
    const double frequency =
        std::pow(rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    if (smooth > 1e-6 && smooth < 1 - 1e-6) points.emplace_back(frequency / (2 * std::numbers::pi), smooth);
  }
  if (points.size() >= 2) {
    const double slope =
        (points.front().second - points.back().second) / (points.front().first - points.back().first);
    if (!(slope > 0)) return std::nullopt;
    const double span = static_cast<double>(scaling.original_max_position_embeddings) / slope;  // high - low
    scaling.low_freq_factor = (slope * points.front().first - points.front().second) * span;
    scaling.high_freq_factor = scaling.low_freq_factor + span;
    if (!(scaling.low_freq_factor > 0)) return std::nullopt;
  } else if (points.size() == 1) {
    // One point does not fix a line: the released models' 1 and 4 are taken, and original is what is left.
    const double turns = scaling.low_freq_factor +
                         points.front().second * (scaling.high_freq_factor - scaling.low_freq_factor);
    scaling.original_max_position_embeddings = std::llround(turns / points.front().first);
  } else {
    return std::nullopt;
  }
  if (!near(llama3_rope_factors(scaling, head_dim, rope_theta), factors)) return std::nullopt;
  return scaling;
}

void read_rope_factors(const Keys& keys, Json& json) {
  const auto* tensor = keys.file().find_tensor(kRopeFreqs);
  if (tensor == nullptr) return;
  const int64_t count = tensor::element_count(tensor->shape);
  if (const auto dim = json.value("head_dim", int64_t{0}); dim != 2 * count) {
    throw_error(ErrorCode::kBadInput, "[gguf] {}: tensor {}: {} factors, but head_dim {} needs {}",
                keys.file().path(), kRopeFreqs, count, dim, dim / 2);
  }
  if (count > kMaxRopeFactors) keys.unsupported("rope.scaling", fmt::format("{} factors", count));
  std::vector<float> factors(static_cast<size_t>(count));
  tensor->format->to_float(tensor->bytes.data(), static_cast<int64_t>(factors.size()), factors.data());
  const auto scaling = find_llama3(factors, json["rope_theta"].get<double>());
  if (!scaling || keys.architecture() != "llama") {
    throw_error(ErrorCode::kUnsupported,
                "[gguf] {}: tensor {}: its {} factors are not Llama 3's RoPE scaling", keys.file().path(),
                kRopeFreqs, factors.size());
  }
  json["rope_scaling"] = {{"rope_type", "llama3"},
                          {"factor", scaling->factor},
                          {"low_freq_factor", scaling->low_freq_factor},
                          {"high_freq_factor", scaling->high_freq_factor},
                          {"original_max_position_embeddings", scaling->original_max_position_embeddings}};
}

void read_experts(const Keys& keys, Json& json) {
  const int64_t experts = keys.integer("expert_count", 0);
  const int64_t layers = json["num_hidden_layers"].get<int64_t>();
  // Files of before the key: V2's softmax, but for GLM-4.7-Flash's sigmoid.
  const bool glm = (layers == 47 || layers == 48) && json["vocab_size"] == 154880;
  const int64_t gating = keys.integer("expert_gating_func", glm ? kGatingSigmoid : kGatingSoftmax);
  if (gating != kGatingSoftmax && gating != kGatingSigmoid) {
    keys.unsupported("expert_gating_func", fmt::format("{}", gating));
  }
  const bool sigmoid = gating == kGatingSigmoid;
  json["architectures"] = {sigmoid ? "DeepseekV3ForCausalLM" : "DeepseekV2ForCausalLM"};
  json["model_type"] = sigmoid ? "deepseek_v3" : "deepseek_v2";
  json["scoring_func"] = sigmoid ? "sigmoid" : "softmax";
  const GgufValue* norm = keys.find("expert_weights_norm");
  json["norm_topk_prob"] = norm != nullptr && norm->boolean();
  const double scale = keys.number("expert_weights_scale", 1);
  json["routed_scaling_factor"] = scale != 0 ? scale : 1.0;
  const int64_t groups = std::max<int64_t>(1, keys.integer("expert_group_count", 1));
  json["topk_method"] = sigmoid ? "noaux_tc" : groups > 1 ? "group_limited_greedy" : "greedy";
  json["first_k_dense_replace"] = experts > 0 ? keys.integer("leading_dense_block_count", 0) : 0;
  if (experts == 0) {
    json["n_routed_experts"] = nullptr;
    return;
  }
  json["n_routed_experts"] = experts;
  json["num_experts_per_tok"] = keys.integer("expert_used_count");
  json["moe_intermediate_size"] = keys.integer("expert_feed_forward_length");
  json["n_shared_experts"] = keys.integer("expert_shared_count", 0);
  json["n_group"] = groups;
  json["topk_group"] = std::max<int64_t>(1, keys.integer("expert_group_used_count", 1));
}

void read_deepseek2(const Keys& keys, Json& json) {
  const int64_t mtp = keys.integer("nextn_predict_layers", 0);
  const int64_t blocks = json["num_hidden_layers"].get<int64_t>();
  if (mtp < 0 || mtp >= blocks)
    keys.fail("nextn_predict_layers", fmt::format("is {} of {} blocks", mtp, blocks));
  json["num_hidden_layers"] = blocks - mtp;
  json["num_nextn_predict_layers"] = mtp;
  // Older files describe ordinary heads: no "_mla" keys, and as many KV heads.
  json["num_key_value_heads"] = json["num_attention_heads"];
  const int64_t rope = keys.integer("rope.dimension_count");
  const int64_t key_length = keys.find("attention.key_length_mla") != nullptr
                                 ? keys.integer("attention.key_length_mla")
                                 : keys.integer("attention.key_length");
  if (rope >= key_length)
    keys.fail("rope.dimension_count", fmt::format("is {} of a key of {}", rope, key_length));
  json["kv_lora_rank"] = keys.integer("attention.kv_lora_rank");
  const int64_t q_rank =
      keys.has_tensor("blk.0.attn_q.weight") ? 0 : keys.integer("attention.q_lora_rank", 0);
  json["q_lora_rank"] = q_rank > 0 ? Json(q_rank) : Json(nullptr);
  json["qk_rope_head_dim"] = rope;
  json["qk_nope_head_dim"] = key_length - rope;
  json["v_head_dim"] = keys.find("attention.value_length_mla") != nullptr
                           ? keys.integer("attention.value_length_mla")
                           : keys.integer("attention.value_length");
  json["rope_interleave"] = true;
  read_experts(keys, json);
}

void read_dense(const Keys& keys, Json& json) {
  const std::string& architecture = keys.architecture();
  if (keys.integer("expert_count", 0) > 0) keys.unsupported("expert_count", "a mixture of experts");
  const int64_t heads = json["num_attention_heads"].get<int64_t>();
  json["num_key_value_heads"] = keys.integer("attention.head_count_kv", heads);
  if (heads < 1) keys.fail("attention.head_count", fmt::format("is {}", heads));
  const int64_t head_dim = keys.integer("attention.key_length", json["hidden_size"].get<int64_t>() / heads);
  json["head_dim"] = head_dim;
  if (keys.integer("attention.value_length", head_dim) != head_dim) {
    keys.unsupported("attention.value_length",
                     fmt::format("{} beside keys of {}", keys.integer("attention.value_length"), head_dim));
  }
  if (keys.integer("rope.dimension_count", head_dim) != head_dim) {
    keys.unsupported("rope.dimension_count",
                     fmt::format("{} of {}", keys.integer("rope.dimension_count"), head_dim));
  }
  json["architectures"] = {architecture == "llama"   ? "LlamaForCausalLM"
                           : architecture == "qwen2" ? "Qwen2ForCausalLM"
                                                     : "Qwen3ForCausalLM"};
  json["model_type"] = architecture;
  json["rope_interleave"] = architecture == "llama";
  if (architecture != "qwen2") json["attention_bias"] = keys.has_tensor("blk.0.attn_q.bias");
  read_rope_factors(keys, json);
}

uint32_t u32(int64_t value) {
  HADAL_CHECK(value >= 0 && value <= 0xFFFFFFFF);
  return static_cast<uint32_t>(value);
}

// Writes "<architecture>.<name>".
class KeyWriter {
 public:
  KeyWriter(std::string_view architecture, format::GgufWriter& writer)
      : prefix_(std::string(architecture) + "."), writer_(writer) {}
  void count(const char* name, int64_t value) { writer_.set(prefix_ + name, u32(value)); }
  void number(const char* name, double value) { writer_.set(prefix_ + name, static_cast<float>(value)); }
  void flag(const char* name, bool value) { writer_.set(prefix_ + name, value); }
  void text(const char* name, std::string_view value) { writer_.set(prefix_ + name, value); }

 private:
  std::string prefix_;
  format::GgufWriter& writer_;
};

void write_yarn(const ModelConfig& config, KeyWriter& keys) {
  const YarnScaling& yarn = *config.rope_scaling;
  keys.text("rope.scaling.type", "yarn");
  keys.number("rope.scaling.factor", yarn.factor);
  keys.count("rope.scaling.original_context_length", yarn.original_max_position_embeddings);
  keys.number("rope.scaling.yarn_beta_fast", yarn.beta_fast);
  keys.number("rope.scaling.yarn_beta_slow", yarn.beta_slow);
  if (yarn.attention_factor > 0) {
    keys.number("rope.scaling.yarn_attn_factor",
                yarn.attention_factor / (kYarnLog * std::log(yarn.factor) + 1));
  }
  const bool same = yarn.mscale == yarn.mscale_all_dim;
  if (!same && !(yarn.mscale == 1 && yarn.mscale_all_dim == 0)) {
    throw_error(ErrorCode::kUnsupported,
                "[gguf] rope_scaling: mscale {} beside mscale_all_dim {}: GGUF has one number for both",
                yarn.mscale, yarn.mscale_all_dim);
  }
  if (yarn.mscale_all_dim != 0)
    keys.number("rope.scaling.yarn_log_multiplier", kYarnLog * yarn.mscale_all_dim);
}

void write_deepseek2(const ModelConfig& config, int64_t layers, KeyWriter& keys) {
  if (!config.rope_interleave) {
    throw_error(ErrorCode::kUnsupported,
                "[gguf] rope_interleave: false is not possible in architecture deepseek2");
  }
  if (config.n_routed_experts > 0 && config.moe_layer_freq != 1) {
    throw_error(ErrorCode::kUnsupported,
                "[gguf] moe_layer_freq: {} is not possible in architecture deepseek2", config.moe_layer_freq);
  }
  // llama.cpp runs MLA as attention with one KV head of this size.
  keys.count("attention.head_count_kv", 1);
  keys.count("attention.key_length", config.kv_lora_rank + config.qk_rope_head_dim);
  keys.count("attention.value_length", config.kv_lora_rank);
  keys.count("attention.key_length_mla", config.qk_head_dim());
  keys.count("attention.value_length_mla", config.v_head_dim);
  keys.count("attention.kv_lora_rank", config.kv_lora_rank);
  // llama.cpp wants the key, be it 0, of all models but those with V2-Lite's number of layers.
  if (config.q_lora_rank > 0 || layers != kLiteLayers)
    keys.count("attention.q_lora_rank", config.q_lora_rank);
  keys.count("rope.dimension_count", config.qk_rope_head_dim);
  if (layers > config.num_hidden_layers)
    keys.count("nextn_predict_layers", layers - config.num_hidden_layers);
  const bool moe = config.n_routed_experts > 0;
  keys.count("leading_dense_block_count", moe ? config.first_k_dense_replace : layers);
  keys.count("expert_feed_forward_length", moe ? config.moe_intermediate_size : config.intermediate_size);
  keys.count("expert_shared_count", config.n_shared_experts);
  keys.number("expert_weights_scale", config.routed_scaling_factor);
  if (!moe) return;
  keys.count("expert_count", config.n_routed_experts);
  keys.count("expert_used_count", config.num_experts_per_tok);
  keys.flag("expert_weights_norm", config.norm_topk_prob);
  keys.count("expert_gating_func",
             config.scoring_func == ScoringFunc::kSigmoid ? kGatingSigmoid : kGatingSoftmax);
  if (config.topk_method != TopkMethod::kGreedy && config.n_group > 1) {
    keys.count("expert_group_count", config.n_group);
    keys.count("expert_group_used_count", config.topk_group);
  }
  const bool v3 = config.scoring_func == ScoringFunc::kSigmoid;
  if (v3 != (config.topk_method == TopkMethod::kNoauxTc)) {
    throw_error(ErrorCode::kUnsupported,
                "[gguf] scoring_func and topk_method: GGUF knows sigmoid with noaux_tc and "
                "softmax with the greedy ones");
  }
}

void write_dense(const ModelConfig& config, KeyWriter& keys) {
  keys.count("attention.head_count_kv", config.num_key_value_heads);
  keys.count("attention.key_length", config.head_dim);
  keys.count("attention.value_length", config.head_dim);
  keys.count("rope.dimension_count", config.head_dim);
}

}  // namespace

Json config_from_gguf(const GgufFile& file) {
  const Keys keys(file);
  const std::string& architecture = keys.architecture();
  const bool dense = architecture == "qwen2" || architecture == "qwen3" || architecture == "llama";
  if (!dense && architecture != "deepseek2") {
    throw_error(ErrorCode::kUnsupported,
                "[gguf] {}: architecture \"{}\" is not supported (known: deepseek2, qwen2, qwen3, llama)",
                file.path(), architecture);
  }
  refuse_unsupported(keys);
  Json json;
  json["vocab_size"] = vocab_size(keys);
  json["hidden_size"] = keys.integer("embedding_length");
  json["intermediate_size"] = keys.integer("feed_forward_length");
  json["num_hidden_layers"] = keys.integer("block_count");
  json["num_attention_heads"] = keys.integer("attention.head_count");
  json["rope_theta"] = keys.number("rope.freq_base", 10000);
  json["max_position_embeddings"] = keys.integer("context_length", 4096);
  json["rms_norm_eps"] = keys.number("attention.layer_norm_rms_epsilon", 1e-6);
  json["tie_word_embeddings"] = !keys.has_tensor("output.weight");
  json["hidden_act"] = "silu";
  read_tokens(file, json);
  read_yarn(keys, json);
  if (dense)
    read_dense(keys, json);
  else
    read_deepseek2(keys, json);
  return json;
}

std::string_view gguf_architecture(const ModelConfig& config) {
  if (config.is_mla()) return "deepseek2";
  for (const std::string_view name : {"qwen2", "qwen3", "llama"}) {
    if (config.model_type == name) return name;
  }
  throw_error(ErrorCode::kUnsupported, "[gguf] GGUF has no architecture for model_type \"{}\"",
              config.model_type);
}

void config_to_gguf(const ModelConfig& config, int64_t layers, format::GgufWriter& writer) {
  const std::string_view architecture = gguf_architecture(config);
  writer.set("general.architecture", architecture);
  KeyWriter keys(architecture, writer);
  keys.count("block_count", layers);
  keys.count("context_length", config.max_position_embeddings);
  keys.count("embedding_length", config.hidden_size);
  keys.count("feed_forward_length", config.intermediate_size);
  keys.count("attention.head_count", config.num_attention_heads);
  keys.number("rope.freq_base", config.rope_theta);
  keys.number("attention.layer_norm_rms_epsilon", config.rms_norm_eps);
  keys.count("vocab_size", config.vocab_size);
  if (config.rope_scaling) write_yarn(config, keys);
  if (config.is_mla())
    write_deepseek2(config, layers, keys);
  else
    write_dense(config, keys);
}

std::vector<float> llama3_rope_factors(const Llama3Scaling& scaling, int64_t head_dim, double rope_theta) {
  const auto original = static_cast<double>(scaling.original_max_position_embeddings);
  std::vector<float> factors(static_cast<size_t>(head_dim / 2));
  for (size_t i = 0; i < factors.size(); ++i) {
    const double frequency =
        std::pow(rope_theta, -2.0 * static_cast<double>(i) / static_cast<double>(head_dim));
    const double wavelength = 2 * std::numbers::pi / frequency;
    double divided = scaling.factor;
    if (wavelength < original / scaling.high_freq_factor) {
      divided = 1;
    } else if (wavelength <= original / scaling.low_freq_factor) {
      const double smooth = (original / wavelength - scaling.low_freq_factor) /
                            (scaling.high_freq_factor - scaling.low_freq_factor);
      divided = 1 / ((1 - smooth) / scaling.factor + smooth);
    }
    factors[i] = static_cast<float>(divided);
  }
  return factors;
}

}  // namespace hadal::model
