// DeepSeek V2 and V3, and the models that reuse their architecture: MLA and DeepSeekMoE.
#include <array>

#include "base/error.h"
#include "model/family.h"

namespace hadal::model {
namespace {

using base::Json;

template <typename Enum>
struct NamedValue {
  std::string_view name;
  Enum value;
};
constexpr std::array<NamedValue<ScoringFunc>, 2> kScoringFuncs = {
    {{"softmax", ScoringFunc::kSoftmax}, {"sigmoid", ScoringFunc::kSigmoid}}};
constexpr std::array<NamedValue<TopkMethod>, 3> kTopkMethods = {
    {{"greedy", TopkMethod::kGreedy},
     {"group_limited_greedy", TopkMethod::kGroupLimitedGreedy},
     {"noaux_tc", TopkMethod::kNoauxTc}}};

// What absent keys mean.
struct Defaults {
  ScoringFunc scoring_func;
  TopkMethod topk_method;
  bool norm_topk_prob;
};

void parse_experts(const ConfigReader& reader, const Defaults& defaults, ModelConfig& config) {
  config.n_routed_experts = reader.integer("n_routed_experts", 0, kMaxExperts, 0);
  config.first_k_dense_replace = reader.integer("first_k_dense_replace", 0, config.num_hidden_layers, 0);
  config.moe_layer_freq = reader.integer("moe_layer_freq", 1, kMaxLayers, 1);
  config.scoring_func = reader.choice("scoring_func", kScoringFuncs, defaults.scoring_func);
  config.topk_method = reader.choice("topk_method", kTopkMethods, defaults.topk_method);
  config.norm_topk_prob = reader.boolean("norm_topk_prob", defaults.norm_topk_prob);
  config.routed_scaling_factor = reader.number("routed_scaling_factor", 0, 1e6, 1);
  if (config.n_routed_experts == 0) return;
  config.moe_intermediate_size = reader.integer("moe_intermediate_size", 1, kMaxWidth);
  config.n_shared_experts = reader.integer("n_shared_experts", 0, kMaxExperts, 0);
  config.num_experts_per_tok = reader.integer("num_experts_per_tok", 1, kMaxExperts);
  config.n_group = reader.integer("n_group", 1, kMaxExperts, 1);
  config.topk_group = reader.integer("topk_group", 1, kMaxExperts, 1);
  if (config.num_experts_per_tok > config.n_routed_experts) {
    reader.fail(ErrorCode::kBadInput, "num_experts_per_tok", "{} of {} n_routed_experts",
                config.num_experts_per_tok, config.n_routed_experts);
  }
  if (config.topk_method == TopkMethod::kGreedy) return;  // groups are not used
  if (config.n_routed_experts % config.n_group != 0) {
    reader.fail(ErrorCode::kBadInput, "n_group", "{} groups do not divide {} n_routed_experts",
                config.n_group, config.n_routed_experts);
  }
  if (config.topk_group > config.n_group) {
    reader.fail(ErrorCode::kBadInput, "topk_group", "{} of {} n_group", config.topk_group, config.n_group);
  }
  const int64_t group_size = config.n_routed_experts / config.n_group;
  if (config.topk_group * group_size < config.num_experts_per_tok) {
    reader.fail(ErrorCode::kBadInput, "topk_group",
                "{} groups of {} experts are fewer than num_experts_per_tok {}", config.topk_group,
                group_size, config.num_experts_per_tok);
  }
  if (config.topk_method == TopkMethod::kNoauxTc && config.n_group > 1 && group_size < 2) {
    reader.fail(ErrorCode::kBadInput, "n_group",
                "{} groups leave {} expert each; noaux_tc ranks a group by its best two", config.n_group,
                group_size);
  }
}

template <typename Rows, typename Enum>
std::string name_of(const Rows& rows, Enum value) {
  for (const auto& row : rows) {
    if (row.value == value) return std::string(row.name);
  }
  HADAL_CHECK(false);
  return "";
}

void parse(const ConfigReader& reader, const Defaults& defaults, ModelConfig& config) {
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (reader.boolean(key, false)) reader.fail(ErrorCode::kUnsupported, key, "true is not supported");
  }
  if (const int64_t ep_size = reader.integer("ep_size", 1, kMaxExperts, 1); ep_size != 1) {
    reader.fail(ErrorCode::kUnsupported, "ep_size", "{} is not supported, only 1", ep_size);
  }
  config.attention = AttentionKind::kMla;
  config.rope_interleave = reader.boolean("rope_interleave", true);
  const int64_t kv_heads = reader.integer("num_key_value_heads", 1, kMaxHeads, config.num_attention_heads);
  if (kv_heads != config.num_attention_heads) {
    reader.fail(ErrorCode::kBadInput, "num_key_value_heads",
                "{} differs from num_attention_heads {}: MLA has no fewer", kv_heads,
                config.num_attention_heads);
  }
  config.num_key_value_heads = kv_heads;
  config.q_lora_rank = reader.integer("q_lora_rank", 0, kMaxWidth, 0);
  config.kv_lora_rank = reader.integer("kv_lora_rank", 1, kMaxWidth);
  config.qk_nope_head_dim = reader.integer("qk_nope_head_dim", 1, kMaxHeadDim);
  config.qk_rope_head_dim = reader.integer("qk_rope_head_dim", 2, kMaxHeadDim);
  if (config.qk_rope_head_dim % 2 != 0) {
    reader.fail(ErrorCode::kBadInput, "qk_rope_head_dim", "{} is odd: RoPE turns pairs",
                config.qk_rope_head_dim);
  }
  config.v_head_dim = reader.integer("v_head_dim", 1, kMaxHeadDim);
  if (config.llama3_scaling) {
    reader.fail(ErrorCode::kUnsupported, "rope_scaling", "type \"llama3\" is not supported with MLA");
  }
  parse_experts(reader, defaults, config);
  config.num_nextn_predict_layers = reader.integer("num_nextn_predict_layers", 0, kMaxLayers, 0);
  if (config.num_nextn_predict_layers > 1) {
    reader.fail(ErrorCode::kUnsupported, "num_nextn_predict_layers",
                "{} MTP modules are not supported, at most 1", config.num_nextn_predict_layers);
  }
}

}  // namespace

void parse_deepseek_v2(const ConfigReader& reader, ModelConfig& config) {
  parse(reader, {ScoringFunc::kSoftmax, TopkMethod::kGreedy, false}, config);
}

void parse_deepseek_v3(const ConfigReader& reader, ModelConfig& config) {
  parse(reader, {ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, true}, config);
}

void write_deepseek(const ModelConfig& config, Json& json) {
  json["num_key_value_heads"] = config.num_attention_heads;
  json["first_k_dense_replace"] = config.first_k_dense_replace;
  json["moe_layer_freq"] = config.moe_layer_freq;
  if (config.n_routed_experts > 0) {
    json["n_routed_experts"] = config.n_routed_experts;
    json["n_shared_experts"] = config.n_shared_experts;
    json["num_experts_per_tok"] = config.num_experts_per_tok;
    json["moe_intermediate_size"] = config.moe_intermediate_size;
    json["n_group"] = config.n_group;
    json["topk_group"] = config.topk_group;
  } else {
    json["n_routed_experts"] = nullptr;
  }
  json["topk_method"] = name_of(kTopkMethods, config.topk_method);
  json["scoring_func"] = name_of(kScoringFuncs, config.scoring_func);
  json["norm_topk_prob"] = config.norm_topk_prob;
  json["routed_scaling_factor"] = config.routed_scaling_factor;
  json["q_lora_rank"] = config.q_lora_rank > 0 ? Json(config.q_lora_rank) : Json(nullptr);
  json["kv_lora_rank"] = config.kv_lora_rank;
  json["qk_nope_head_dim"] = config.qk_nope_head_dim;
  json["qk_rope_head_dim"] = config.qk_rope_head_dim;
  json["v_head_dim"] = config.v_head_dim;
  json["rope_interleave"] = config.rope_interleave;
  json["num_nextn_predict_layers"] = config.num_nextn_predict_layers;
  json["attention_bias"] = false;
}

}  // namespace hadal::model
