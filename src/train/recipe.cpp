#include "train/recipe.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "base/error.h"
#include "base/files.h"
#include "train/recipe_parts.h"

namespace hadal::train {
namespace {

using base::Json;
using base::TomlTable;

constexpr std::array kModelIntegers = {"vocab_size",
                                       "hidden_size",
                                       "intermediate_size",
                                       "moe_intermediate_size",
                                       "num_hidden_layers",
                                       "num_attention_heads",
                                       "num_key_value_heads",
                                       "first_k_dense_replace",
                                       "moe_layer_freq",
                                       "n_routed_experts",
                                       "n_shared_experts",
                                       "num_experts_per_tok",
                                       "n_group",
                                       "topk_group",
                                       "q_lora_rank",
                                       "kv_lora_rank",
                                       "qk_nope_head_dim",
                                       "qk_rope_head_dim",
                                       "v_head_dim",
                                       "max_position_embeddings",
                                       "num_nextn_predict_layers",
                                       "bos_token_id",
                                       "eos_token_id"};
constexpr std::array kModelNumbers = {"routed_scaling_factor", "rope_theta", "rms_norm_eps"};
constexpr std::array kModelFlags = {"norm_topk_prob", "tie_word_embeddings"};
constexpr std::array kModelStrings = {"model_type", "topk_method", "scoring_func"};
constexpr std::array kYarnNumbers = {"factor", "beta_fast", "beta_slow", "mscale", "mscale_all_dim"};

// [model] has config.json's own names; what a recipe may leave out gets DeepSeek-V3's value.
Json model_json(const TomlTable& table) {
  Json json = {{"model_type", "deepseek_v3"},
               {"topk_method", "noaux_tc"},
               {"scoring_func", "sigmoid"},
               {"norm_topk_prob", true},
               {"moe_layer_freq", 1},
               {"n_group", 1},
               {"topk_group", 1},
               {"routed_scaling_factor", 1.0},
               {"rope_theta", 10000.0},
               {"rms_norm_eps", 1e-6},
               {"tie_word_embeddings", false},
               {"hidden_act", "silu"},
               {"num_nextn_predict_layers", 0},
               {"first_k_dense_replace", 0},
               {"max_position_embeddings", 4096},
               {"attention_bias", false},
               {"bos_token_id", 0},
               {"eos_token_id", 1}};
  for (const char* key : kModelIntegers) {
    if (table.has(key)) json[key] = table.get_int(key, 0);
  }
  for (const char* key : kModelNumbers) {
    if (table.has(key)) json[key] = table.get_double(key, 0);
  }
  for (const char* key : kModelFlags) {
    if (table.has(key)) json[key] = table.get_bool(key, false);
  }
  for (const char* key : kModelStrings) {
    if (table.has(key)) json[key] = table.get_string(key, "");
  }
  if (table.has("rope_scaling")) {
    const TomlTable yarn = table.section("rope_scaling");
    Json scaling = {{"type", yarn.get_string("type", "yarn")}};
    for (const char* key : kYarnNumbers) {
      if (yarn.has(key)) scaling[key] = yarn.get_double(key, 0);
    }
    constexpr const char* kOriginal = "original_max_position_embeddings";
    if (yarn.has(kOriginal)) scaling[kOriginal] = yarn.get_int(kOriginal, 0);
    json["rope_scaling"] = scaling;
  }
  return json;
}

void read_data(const TomlTable& t, DataOptions& data) {
  data.dataset = t.require_string("dataset");
  data.sequence_tokens = integer(t, "sequence_tokens", data.sequence_tokens, 2, 1 << 20);
  data.batch_sequences = integer(t, "batch_sequences", data.batch_sequences, 1, 1 << 20);
  data.micro_batches = integer(t, "micro_batches", data.micro_batches, 1, data.batch_sequences);
  if (data.batch_sequences % data.micro_batches != 0) {
    t.fail("micro_batches", fmt::format("is {}, which does not divide batch_sequences {}", data.micro_batches,
                                        data.batch_sequences));
  }
  data.document_mask = t.get_bool("document_mask", data.document_mask);
  data.piece_tokens = integer(t, "piece_tokens", data.piece_tokens, 0, kMany);
}

void read_steps(const TomlTable& t, int64_t tokens_per_step, Schedule& s) {
  if (t.has("steps") == t.has("tokens")) t.fail("steps", "or tokens must be given, and not both");
  s.steps = t.has("steps") ? integer(t, "steps", 0, 1, kMany)
                           : std::max<int64_t>(1, integer(t, "tokens", 0, 1, kMany) / tokens_per_step);
  s.warmup_steps = integer(t, "warmup_steps", std::min<int64_t>(100, s.steps / 10), 0, s.steps);
}

}  // namespace

Recipe parse_recipe(const std::string& toml, const std::string& name,
                    const std::vector<std::string>& overrides) {
  TomlTable root = TomlTable::parse(toml, name);
  for (const std::string& assignment : overrides) root.apply_override(assignment);
  Recipe r;
  r.path = name;
  r.seed = static_cast<uint64_t>(integer(root, "seed", 1, 0, INT64_MAX));
  r.threads = static_cast<int>(integer(root, "threads", 0, 0, 1024));

  const TomlTable model = root.section("model");
  r.initializer_range = number(model, "initializer_range", r.initializer_range, 0, 1);
  const Json config = model_json(model);
  read_data(root.section("data"), r.data);
  read_optimizer(root.section("optimizer"), r.optimizer, r.schedule);
  read_schedule(root.section("schedule"), r.schedule);
  read_steps(root.section("schedule"), r.tokens_per_step(), r.schedule);

  const TomlTable loss = root.section("loss");
  r.mtp.early = number(loss, "mtp_weight", r.mtp.early, 0, 10);
  r.mtp.late = number(loss, "mtp_weight_late", r.mtp.late, 0, 10);
  r.mtp.late_from = number(loss, "mtp_late_from", r.mtp.late_from, 0, 1);

  const TomlTable balance = root.section("balance");
  r.balance.gamma.start = number(balance, "gamma_start", r.balance.gamma.start, 0, 1);
  r.balance.gamma.end = number(balance, "gamma_end", r.balance.gamma.end, 0, 1);
  r.balance.gamma.zero_from = number(balance, "gamma_zero_from", r.balance.gamma.zero_from, 0, 1);
  r.balance.sequence_alpha = number(balance, "sequence_alpha", r.balance.sequence_alpha, 0, 10);

  read_checkpoint(root.section("checkpoint"), r.checkpoint);

  const TomlTable eval = root.section("eval");
  r.eval.every_steps = integer(eval, "every_steps", r.eval.every_steps, 0, kMany);
  r.eval.sequences = integer(eval, "sequences", r.eval.sequences, 1, kMany);
  r.eval.final_sequences = integer(eval, "final_sequences", r.eval.final_sequences, 1, kMany);
  r.eval.load_every_steps = integer(eval, "load_every_steps", r.eval.load_every_steps, 1, kMany);
  r.eval.report_every_steps = integer(eval, "report_every_steps", r.eval.report_every_steps, 1, kMany);

  root.reject_unknown();  // before the config's own checks: a misspelt key is the better explanation
  r.model = model::parse_config(config, name + ": [model]");
  if (r.data.sequence_tokens > r.model.max_position_embeddings) {
    throw_error(ErrorCode::kBadInput,
                "[recipe] {}: data.sequence_tokens {} is more than the model's {} positions", name,
                r.data.sequence_tokens, r.model.max_position_embeddings);
  }
  r.text = root.dump();
  return r;
}

Recipe load_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_recipe(base::read_file(path), path, overrides);
}

base::Json recipe_to_json(const Recipe& r) {
  Json model = model::config_to_json(r.model);
  model["initializer_range"] = r.initializer_range;
  return {
      {"seed", r.seed},
      {"threads", r.threads},
      {"model", model},
      {"data",
       {{"dataset", r.data.dataset},
        {"sequence_tokens", r.data.sequence_tokens},
        {"batch_sequences", r.data.batch_sequences},
        {"micro_batches", r.data.micro_batches},
        {"document_mask", r.data.document_mask},
        {"piece_tokens", r.data.piece_tokens}}},
      {"optimizer", optimizer_to_json(r.optimizer, r.schedule)},
      {"schedule", schedule_to_json(r.schedule)},
      {"loss",
       {{"mtp_weight", r.mtp.early}, {"mtp_weight_late", r.mtp.late}, {"mtp_late_from", r.mtp.late_from}}},
      {"balance",
       {{"gamma_start", r.balance.gamma.start},
        {"gamma_end", r.balance.gamma.end},
        {"gamma_zero_from", r.balance.gamma.zero_from},
        {"sequence_alpha", r.balance.sequence_alpha}}},
      {"checkpoint", checkpoint_to_json(r.checkpoint)},
      {"eval",
       {{"every_steps", r.eval.every_steps},
        {"sequences", r.eval.sequences},
        {"final_sequences", r.eval.final_sequences},
        {"load_every_steps", r.eval.load_every_steps},
        {"report_every_steps", r.eval.report_every_steps}}},
  };
}

std::vector<std::string> compare_recipes(const Json& before, const Json& now) {
  const Json a = before.flatten();
  const Json b = now.flatten();
  std::vector<std::string> differences;
  constexpr std::string_view kDigest = "_digest";
  const auto compare = [&](const std::string& key, const Json& x, const Json& y) {
    // The data is compared by its checksum elsewhere: its files may have moved, or lost a bad line.
    constexpr std::array kMayChange = {"/data/dataset", "/data/conversations", "/data/validation",
                                       "/data/skip_bad", "/data/epochs"};
    const bool may_change = std::find(kMayChange.begin(), kMayChange.end(), key) != kMayChange.end();
    const bool fixed = key == "/seed" || key == "/optimizer/moments" || key.starts_with("/model/") ||
                       key.starts_with("/lora/") || (key.starts_with("/data/") && !may_change);
    if (key.starts_with("/model/") && key.ends_with(kDigest)) {
      throw_error(
          ErrorCode::kBadInput,
          "[train] {} holds another model than the one that this run began with ({}, now {}); put the old "
          "one back or use a new --out",
          key.substr(1, key.size() - 1 - kDigest.size()), x.dump(), y.dump());
    }
    if (fixed) {
      throw_error(ErrorCode::kBadInput,
                  "[train] {} was {} when this run began and is {} now; use the old value or a new --out",
                  key.substr(1), x.dump(), y.dump());
    }
    differences.push_back(fmt::format("{}: {} -> {}", key, x.dump(), y.dump()));
  };
  for (const auto& [key, value] : a.items()) {
    const Json other = b.contains(key) ? b[key] : Json();
    if (other != value) compare(key, value, other);
  }
  for (const auto& [key, value] : b.items()) {
    // Checkpoints before there were digests have none.
    if (!a.contains(key) && !key.ends_with(kDigest)) compare(key, Json(), value);
  }
  return differences;
}

}  // namespace hadal::train
