#include "model/config.h"

#include <array>
#include <cmath>

#include "base/error.h"

namespace hadal::model {
namespace {

using base::Json;

// One row per architecture: what config.json calls it, and what its absent keys mean (Hugging Face's
// defaults).
struct Architecture {
  std::string_view name;
  std::string_view model_type;
  ScoringFunc scoring_func;
  TopkMethod topk_method;
  bool norm_topk_prob;
};
constexpr Architecture kArchitectures[] = {
    {"DeepseekV2ForCausalLM", "deepseek_v2", ScoringFunc::kSoftmax, TopkMethod::kGreedy, false},
    {"DeepseekV3ForCausalLM", "deepseek_v3", ScoringFunc::kSigmoid, TopkMethod::kNoauxTc, true},
};

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

// Bounds far above any model that exists, so that no product of sizes can overflow 63 bits.
constexpr int64_t kMaxVocab = 1 << 24;
constexpr int64_t kMaxWidth = 1 << 18;  // hidden and intermediate sizes
constexpr int64_t kMaxHeads = 1 << 12;
constexpr int64_t kMaxHeadDim = 1 << 13;
constexpr int64_t kMaxLayers = 1 << 10;
constexpr int64_t kMaxExperts = 1 << 12;
constexpr int64_t kMaxPositions = int64_t{1} << 30;

// Typed access to one JSON object, with errors that name the file and the key. A null counts as absent.
class Reader {
 public:
  Reader(const Json& json, const std::string& where, std::string prefix = "")
      : json_(json), where_(where), prefix_(std::move(prefix)) {}

  const Json* find(const char* key) const {
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }

  template <typename... Args>
  [[noreturn]] void fail(ErrorCode code, const char* key, fmt::format_string<Args...> format,
                         Args&&... args) const {
    throw_error(code, "[config] {}: {}{}: {}", where_, prefix_, key,
                fmt::format(format, std::forward<Args>(args)...));
  }

  int64_t integer(const char* key, int64_t low, int64_t high) const {
    const Json* value = find(key);
    if (value == nullptr) fail(ErrorCode::kBadInput, key, "missing");
    return integer_in(key, *value, low, high);
  }
  int64_t integer(const char* key, int64_t low, int64_t high, int64_t fallback) const {
    const Json* value = find(key);
    return value == nullptr ? fallback : integer_in(key, *value, low, high);
  }

  // A finite number in (low, high], or in [low, high].
  enum class Bound { kExclusive, kInclusive };
  double number(const char* key, double low, double high, double fallback,
                Bound bound = Bound::kExclusive) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number()) {
      fail(ErrorCode::kBadInput, key, "{} is not a number", base::dump_json(*value));
    }
    const double number = value->get<double>();
    const bool above = bound == Bound::kInclusive ? number >= low : number > low;
    if (!(above && number <= high)) {
      fail(ErrorCode::kBadInput, key, "{} is not in {}{}, {}]", base::dump_json(*value),
           bound == Bound::kInclusive ? '[' : '(', low, high);
    }
    return number;
  }

  bool boolean(const char* key, bool fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) {
      fail(ErrorCode::kBadInput, key, "{} is not true or false", base::dump_json(*value));
    }
    return value->get<bool>();
  }

  std::string text(const char* key, const std::string& fallback) const {
    const Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) fail(ErrorCode::kBadInput, key, "{} is not a string", base::dump_json(*value));
    return value->get<std::string>();
  }

  template <typename Rows, typename Enum>
  Enum choice(const char* key, const Rows& rows, Enum fallback) const {
    if (find(key) == nullptr) return fallback;
    const std::string name = text(key, "");
    std::string known;
    for (const auto& row : rows) {
      if (row.name == name) return row.value;
      known += (known.empty() ? "" : ", ") + std::string(row.name);
    }
    fail(ErrorCode::kUnsupported, key, "\"{}\" is not supported (known: {})", name, known);
  }

 private:
  int64_t integer_in(const char* key, const Json& value, int64_t low, int64_t high) const {
    if (!value.is_number_integer()) {
      fail(ErrorCode::kBadInput, key, "{} is not an integer", base::dump_json(value));
    }
    const bool too_big = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(high);
    if (too_big || value.get<int64_t>() < low || value.get<int64_t>() > high) {
      fail(ErrorCode::kBadInput, key, "{} is not in {}..{}", base::dump_json(value), low, high);
    }
    return value.get<int64_t>();
  }

  const Json& json_;
  const std::string& where_;
  std::string prefix_;
};

const Architecture& parse_architecture(const Reader& reader) {
  const std::string model_type = reader.text("model_type", "");
  std::string name;
  if (const Json* names = reader.find("architectures")) {
    if (!names->is_array() || names->size() != 1 || !(*names)[0].is_string()) {
      reader.fail(ErrorCode::kBadInput, "architectures", "{} is not a list of one name",
                  base::dump_json(*names));
    }
    name = (*names)[0].get<std::string>();
  }
  if (name.empty() && model_type.empty()) {
    reader.fail(ErrorCode::kBadInput, "architectures", "missing, and model_type too");
  }
  std::string known;
  for (const auto& row : kArchitectures) {
    known += (known.empty() ? "" : ", ") + std::string(row.name);
    if (name != row.name && !(name.empty() && model_type == row.model_type)) continue;
    if (!model_type.empty() && model_type != row.model_type) {
      reader.fail(ErrorCode::kBadInput, "model_type", "\"{}\" contradicts architecture {} (\"{}\")",
                  model_type, row.name, row.model_type);
    }
    return row;
  }
  if (name.empty()) {
    reader.fail(ErrorCode::kUnsupported, "model_type", "\"{}\" is not supported (known architectures: {})",
                model_type, known);
  }
  reader.fail(ErrorCode::kUnsupported, "architectures", "\"{}\" is not supported (known: {})", name, known);
}

// rope_scaling, or rope_parameters as transformers 5 writes it. Null and type "default" mean none.
std::optional<YarnScaling> parse_rope_scaling(const Reader& outer, const char* key,
                                              const std::string& where) {
  const Json* json = outer.find(key);
  if (json == nullptr) return std::nullopt;
  if (!json->is_object()) {
    outer.fail(ErrorCode::kBadInput, key, "{} is not an object", base::dump_json(*json));
  }
  const Reader reader(*json, where, std::string(key) + ".");
  const std::string type = reader.text("rope_type", reader.text("type", ""));
  if (type.empty()) outer.fail(ErrorCode::kBadInput, key, "type (or rope_type) is missing");
  if (type == "default") return std::nullopt;
  if (type != "yarn") {
    outer.fail(ErrorCode::kUnsupported, key, "type \"{}\" is not supported (known: yarn, default)", type);
  }
  for (const auto& [name, value] : json->items()) {
    static constexpr std::array<std::string_view, 10> kKnown = {
        "type",       "rope_type", "factor", "original_max_position_embeddings",
        "beta_fast",  "beta_slow", "mscale", "mscale_all_dim",
        "rope_theta", "truncate"};
    bool is_known = value.is_null();
    for (const auto known : kKnown) is_known = is_known || known == name;
    if (!is_known) outer.fail(ErrorCode::kUnsupported, key, "\"{}\" is not supported", name);
  }
  if (!reader.boolean("truncate", true)) {
    reader.fail(ErrorCode::kUnsupported, "truncate", "false is not supported");
  }
  YarnScaling yarn;
  if (reader.find("factor") == nullptr) reader.fail(ErrorCode::kBadInput, "factor", "missing");
  yarn.factor = reader.number("factor", 0, 1e6, 1);
  if (yarn.factor < 1) reader.fail(ErrorCode::kBadInput, "factor", "{} is below 1", yarn.factor);
  yarn.original_max_position_embeddings =
      reader.integer("original_max_position_embeddings", 1, kMaxPositions, 4096);
  yarn.beta_fast = reader.number("beta_fast", 0, 1e6, yarn.beta_fast);
  yarn.beta_slow = reader.number("beta_slow", 0, 1e6, yarn.beta_slow);
  if (yarn.beta_fast < yarn.beta_slow) {
    reader.fail(ErrorCode::kBadInput, "beta_fast", "{} is below beta_slow {}", yarn.beta_fast,
                yarn.beta_slow);
  }
  yarn.mscale = reader.number("mscale", 0, 1e3, yarn.mscale, Reader::Bound::kInclusive);
  yarn.mscale_all_dim =
      reader.number("mscale_all_dim", 0, 1e3, yarn.mscale_all_dim, Reader::Bound::kInclusive);
  return yarn;
}

// Features that change the arithmetic and that Hadal does not have: refused by name, so that no model runs
// wrongly.
void refuse_unsupported(const Reader& reader) {
  if (reader.text("hidden_act", "silu") != "silu") {
    reader.fail(ErrorCode::kUnsupported, "hidden_act", "\"{}\" is not supported (known: silu)",
                reader.text("hidden_act", ""));
  }
  for (const char* key : {"attention_bias", "mlp_bias"}) {
    if (reader.boolean(key, false)) reader.fail(ErrorCode::kUnsupported, key, "true is not supported");
  }
  if (!reader.boolean("rope_interleave", true)) {
    reader.fail(ErrorCode::kUnsupported, "rope_interleave", "false is not supported");
  }
  if (const int64_t ep_size = reader.integer("ep_size", 1, kMaxExperts, 1); ep_size != 1) {
    reader.fail(ErrorCode::kUnsupported, "ep_size", "{} is not supported, only 1", ep_size);
  }
  if (reader.number("attention_dropout", 0, 1, 0, Reader::Bound::kInclusive) != 0) {
    reader.fail(ErrorCode::kUnsupported, "attention_dropout", "only 0 is supported");
  }
}

void parse_experts(const Reader& reader, const Architecture& architecture, ModelConfig& config) {
  config.n_routed_experts = reader.integer("n_routed_experts", 0, kMaxExperts, 0);
  config.first_k_dense_replace = reader.integer("first_k_dense_replace", 0, config.num_hidden_layers, 0);
  config.moe_layer_freq = reader.integer("moe_layer_freq", 1, kMaxLayers, 1);
  config.scoring_func = reader.choice("scoring_func", kScoringFuncs, architecture.scoring_func);
  config.topk_method = reader.choice("topk_method", kTopkMethods, architecture.topk_method);
  config.norm_topk_prob = reader.boolean("norm_topk_prob", architecture.norm_topk_prob);
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

// eos_token_id may be a list (the first is kept here; the engine reads them all).
int32_t parse_token_id(const Reader& reader, const char* key, int32_t fallback, int64_t vocab_size) {
  const Json* value = reader.find(key);
  if (value != nullptr && value->is_array()) {
    if (value->empty()) reader.fail(ErrorCode::kBadInput, key, "an empty list");
    value = &(*value)[0];
  }
  if (value == nullptr) return fallback < vocab_size ? fallback : 0;
  if (!value->is_number_integer() || value->get<uint64_t>() >= static_cast<uint64_t>(vocab_size)) {
    reader.fail(ErrorCode::kBadInput, key, "{} is not a token of a vocabulary of {}", base::dump_json(*value),
                vocab_size);
  }
  return value->get<int32_t>();
}

template <typename Rows, typename Enum>
std::string name_of(const Rows& rows, Enum value) {
  for (const auto& row : rows) {
    if (row.value == value) return std::string(row.name);
  }
  HADAL_CHECK(false);
  return "";
}

}  // namespace

ModelConfig parse_config(const Json& json, const std::string& where) {
  if (!json.is_object()) throw_error(ErrorCode::kBadInput, "[config] {}: not a JSON object", where);
  const Reader reader(json, where);
  const Architecture& architecture = parse_architecture(reader);
  refuse_unsupported(reader);

  ModelConfig config;
  config.architecture = architecture.name;
  config.model_type = architecture.model_type;
  config.vocab_size = reader.integer("vocab_size", 2, kMaxVocab);
  config.hidden_size = reader.integer("hidden_size", 1, kMaxWidth);
  config.intermediate_size = reader.integer("intermediate_size", 1, kMaxWidth);
  config.num_hidden_layers = reader.integer("num_hidden_layers", 1, kMaxLayers);
  config.num_attention_heads = reader.integer("num_attention_heads", 1, kMaxHeads);
  const int64_t kv_heads = reader.integer("num_key_value_heads", 1, kMaxHeads, config.num_attention_heads);
  if (kv_heads != config.num_attention_heads) {
    reader.fail(ErrorCode::kBadInput, "num_key_value_heads",
                "{} differs from num_attention_heads {}: MLA has no fewer", kv_heads,
                config.num_attention_heads);
  }
  config.q_lora_rank = reader.integer("q_lora_rank", 0, kMaxWidth, 0);
  config.kv_lora_rank = reader.integer("kv_lora_rank", 1, kMaxWidth);
  config.qk_nope_head_dim = reader.integer("qk_nope_head_dim", 1, kMaxHeadDim);
  config.qk_rope_head_dim = reader.integer("qk_rope_head_dim", 2, kMaxHeadDim);
  if (config.qk_rope_head_dim % 2 != 0) {
    reader.fail(ErrorCode::kBadInput, "qk_rope_head_dim", "{} is odd: RoPE turns pairs",
                config.qk_rope_head_dim);
  }
  config.v_head_dim = reader.integer("v_head_dim", 1, kMaxHeadDim);
  parse_experts(reader, architecture, config);

  config.rope_theta = reader.number("rope_theta", 0, 1e12, 10000);
  config.rope_scaling = parse_rope_scaling(reader, "rope_scaling", where);
  if (const Json* parameters = reader.find("rope_parameters")) {
    if (reader.find("rope_scaling") != nullptr) {
      reader.fail(ErrorCode::kBadInput, "rope_parameters", "given beside rope_scaling: keep one of them");
    }
    config.rope_scaling = parse_rope_scaling(reader, "rope_parameters", where);
    config.rope_theta =
        Reader(*parameters, where, "rope_parameters.").number("rope_theta", 0, 1e12, config.rope_theta);
  }
  config.max_position_embeddings = reader.integer("max_position_embeddings", 1, kMaxPositions, 4096);
  config.rms_norm_eps = reader.number("rms_norm_eps", 0, 1, 1e-6);
  config.num_nextn_predict_layers = reader.integer("num_nextn_predict_layers", 0, kMaxLayers, 0);
  if (config.num_nextn_predict_layers > 1) {
    reader.fail(ErrorCode::kUnsupported, "num_nextn_predict_layers",
                "{} MTP modules are not supported, at most 1", config.num_nextn_predict_layers);
  }
  config.tie_word_embeddings = reader.boolean("tie_word_embeddings", false);
  config.bos_token_id = parse_token_id(reader, "bos_token_id", 0, config.vocab_size);
  config.eos_token_id = parse_token_id(reader, "eos_token_id", 1, config.vocab_size);
  return config;
}

ModelConfig load_config(const std::string& model_directory) {
  const std::string path = model_directory + "/config.json";
  return parse_config(base::read_json_file(path), path);
}

Json config_to_json(const ModelConfig& config) {
  Json json;
  json["architectures"] = {config.architecture};
  json["model_type"] = config.model_type;
  json["vocab_size"] = config.vocab_size;
  json["hidden_size"] = config.hidden_size;
  json["intermediate_size"] = config.intermediate_size;
  json["num_hidden_layers"] = config.num_hidden_layers;
  json["num_attention_heads"] = config.num_attention_heads;
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
  json["rope_theta"] = config.rope_theta;
  json["rope_scaling"] = nullptr;
  if (config.rope_scaling) {
    const YarnScaling& yarn = *config.rope_scaling;
    json["rope_scaling"] = {{"type", "yarn"},
                            {"factor", yarn.factor},
                            {"original_max_position_embeddings", yarn.original_max_position_embeddings},
                            {"beta_fast", yarn.beta_fast},
                            {"beta_slow", yarn.beta_slow},
                            {"mscale", yarn.mscale},
                            {"mscale_all_dim", yarn.mscale_all_dim}};
  }
  json["max_position_embeddings"] = config.max_position_embeddings;
  json["rms_norm_eps"] = config.rms_norm_eps;
  json["num_nextn_predict_layers"] = config.num_nextn_predict_layers;
  json["tie_word_embeddings"] = config.tie_word_embeddings;
  json["bos_token_id"] = config.bos_token_id;
  json["eos_token_id"] = config.eos_token_id;
  json["hidden_act"] = "silu";
  json["attention_bias"] = false;
  json["torch_dtype"] = "bfloat16";
  return json;
}

int64_t ModelConfig::active_layer_parameters(int64_t layer) const {
  const int64_t heads = num_attention_heads;
  const int64_t q_columns = heads * qk_head_dim();
  const int64_t query = q_lora_rank > 0 ? q_lora_rank * (hidden_size + q_columns) : hidden_size * q_columns;
  const int64_t key_value = hidden_size * (kv_lora_rank + qk_rope_head_dim) +
                            kv_lora_rank * heads * (qk_nope_head_dim + v_head_dim);
  const int64_t output = heads * v_head_dim * hidden_size;
  const int64_t attention = query + key_value + output;
  const int64_t dense_mlp = 3 * hidden_size * intermediate_size;
  const int64_t moe_mlp = 3 * hidden_size * moe_intermediate_size * (n_shared_experts + num_experts_per_tok) +
                          hidden_size * n_routed_experts;
  return attention + (is_moe_layer(layer) ? moe_mlp : dense_mlp);
}

int64_t ModelConfig::active_matmul_parameters() const {
  int64_t total = vocab_size * hidden_size;  // lm_head, tied or not
  for (int64_t layer = 0; layer < num_hidden_layers; ++layer) total += active_layer_parameters(layer);
  return total;
}

int64_t ModelConfig::mtp_matmul_parameters() const {
  return active_layer_parameters(num_hidden_layers) + 2 * hidden_size * hidden_size + vocab_size * hidden_size;
}

}  // namespace hadal::model
