// Sizes of models: against the published numbers, and against what the golden checkpoints store.
#include "model/footprint.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "model/inventory.h"

namespace hadal::model {
namespace {

using base::Json;

// deepseek-ai/DeepSeek-V3's config.json.
Json v3() {
  return {{"architectures", {"DeepseekV3ForCausalLM"}},
          {"model_type", "deepseek_v3"},
          {"vocab_size", 129280},
          {"hidden_size", 7168},
          {"intermediate_size", 18432},
          {"moe_intermediate_size", 2048},
          {"num_hidden_layers", 61},
          {"first_k_dense_replace", 3},
          {"num_attention_heads", 128},
          {"num_key_value_heads", 128},
          {"n_routed_experts", 256},
          {"n_shared_experts", 1},
          {"num_experts_per_tok", 8},
          {"n_group", 8},
          {"topk_group", 4},
          {"topk_method", "noaux_tc"},
          {"scoring_func", "sigmoid"},
          {"norm_topk_prob", true},
          {"routed_scaling_factor", 2.5},
          {"q_lora_rank", 1536},
          {"kv_lora_rank", 512},
          {"qk_nope_head_dim", 128},
          {"qk_rope_head_dim", 64},
          {"v_head_dim", 128},
          {"max_position_embeddings", 163840},
          {"num_nextn_predict_layers", 1}};
}

// deepseek-ai/DeepSeek-V2-Lite's config.json.
Json v2_lite() {
  return {{"architectures", {"DeepseekV2ForCausalLM"}},
          {"model_type", "deepseek_v2"},
          {"vocab_size", 102400},
          {"hidden_size", 2048},
          {"intermediate_size", 10944},
          {"moe_intermediate_size", 1408},
          {"num_hidden_layers", 27},
          {"first_k_dense_replace", 1},
          {"num_attention_heads", 16},
          {"num_key_value_heads", 16},
          {"n_routed_experts", 64},
          {"n_shared_experts", 2},
          {"num_experts_per_tok", 6},
          {"topk_method", "greedy"},
          {"q_lora_rank", nullptr},
          {"kv_lora_rank", 512},
          {"qk_nope_head_dim", 128},
          {"qk_rope_head_dim", 64},
          {"v_head_dim", 128},
          {"max_position_embeddings", 163840}};
}

// Qwen/Qwen2.5-7B's, which R1-Distill-Qwen-7B keeps.
Json qwen_7b() {
  return {{"architectures", {"Qwen2ForCausalLM"}},
          {"model_type", "qwen2"},
          {"vocab_size", 152064},
          {"hidden_size", 3584},
          {"intermediate_size", 18944},
          {"num_hidden_layers", 28},
          {"num_attention_heads", 28},
          {"num_key_value_heads", 4},
          {"max_position_embeddings", 131072},
          {"rms_norm_eps", 1e-6},
          {"rope_theta", 1000000.0},
          {"hidden_act", "silu"},
          {"tie_word_embeddings", false}};
}

TEST(Footprint, DeepSeekV3IsAsPublished) {
  const ModelConfig config = parse_config(v3(), "v3");
  const Footprint f = config_footprint(config);
  EXPECT_NEAR(static_cast<double>(f.model().parameters), 671e9, 0.1e9);
  EXPECT_NEAR(static_cast<double>(f.model().active), 37e9, 0.6e9);
  EXPECT_EQ(f[Part::kEmbedding].parameters, 129280LL * 7168);
  EXPECT_EQ(f[Part::kRoutedExperts].parameters, 58LL * 256 * 3 * 7168 * 2048);
  EXPECT_EQ(f[Part::kRoutedExperts].active, 58LL * 8 * 3 * 7168 * 2048);
  EXPECT_EQ(f[Part::kDenseMlp].parameters, 3LL * 3 * 7168 * 18432);
  // The hub counts 684.53B in the checkpoint: with the module's copies of embedding and head, and 41.5M
  // scales.
  const int64_t stored = f.model().parameters + f[Part::kMtp].parameters + 2 * f[Part::kEmbedding].parameters;
  EXPECT_NEAR(static_cast<double>(stored), 684.49e9, 0.01e9);
  EXPECT_EQ(cache_bytes_per_token(config, CacheFormat::kBf16), 61 * 576 * 2);  // 70 KB
  EXPECT_EQ(cache_bytes_per_token(config, CacheFormat::kFp8), 61 * (576 + 8));
  EXPECT_EQ(mha_cache_bytes_per_token(config), 2LL * 128 * 128 * 61 * 2);
}

TEST(Footprint, DeepSeekV2LiteIsAsPublished) {
  const ModelConfig config = parse_config(v2_lite(), "v2-lite");
  const PartSize model = config_footprint(config).model();
  EXPECT_NEAR(static_cast<double>(model.parameters), 15.7e9, 0.05e9);
  EXPECT_NEAR(static_cast<double>(model.active), 2.4e9, 0.07e9);
  EXPECT_EQ(cache_bytes_per_token(config, CacheFormat::kBf16), 27 * 576 * 2);
}

TEST(Footprint, QwenIsAsPublished) {
  const ModelConfig config = parse_config(qwen_7b(), "qwen");
  const Footprint f = config_footprint(config);
  EXPECT_EQ(f.model().parameters, 7'615'616'512);  // the model card: 7.61B, of these 6.53B not embedding
  EXPECT_EQ(f.model().parameters - f[Part::kEmbedding].parameters - f[Part::kHead].parameters, 6'525'621'760);
  EXPECT_EQ(cache_bytes_per_token(config, CacheFormat::kBf16), 28 * 2 * 4 * 128 * 2);
  EXPECT_EQ(mha_cache_bytes_per_token(config), 28 * 2 * 28 * 128 * 2);
}

TEST(Footprint, ActiveAgreesWithTheConfigsOwnCount) {
  for (const Json& json : {v3(), v2_lite(), qwen_7b()}) {
    const ModelConfig config = parse_config(json, "config");
    const Footprint f = config_footprint(config);
    // Norms, routing biases and attention biases are no matrices.
    int64_t vectors = config.hidden_size;
    for (int64_t layer = 0; layer < config.num_hidden_layers; ++layer) {
      vectors += 2 * config.hidden_size + config.q_lora_rank + config.kv_lora_rank;
      if (config.is_moe_layer(layer) && config.topk_method == TopkMethod::kNoauxTc)
        vectors += config.n_routed_experts;
      if (config.qkv_bias)
        vectors += (config.num_attention_heads + 2 * config.num_key_value_heads) * config.head_dim;
    }
    EXPECT_EQ(f.model().active - config.hidden_size - vectors, config.active_matmul_parameters());
  }
}

TEST(Footprint, GoldenCheckpointsHoldWhatTheirConfigsSay) {
  for (const char* name : {"deepseek-v3", "deepseek-v3-fp8", "deepseek-v3-mtp", "deepseek-v2",
                           "deepseek-v2-lite", "moonlight", "qwen2", "llama3"}) {
    const std::string path = std::string(HADAL_SOURCE_DIR "/tests/golden/") + name;
    SCOPED_TRACE(name);
    const Inventory inventory = read_inventory(path);
    const Footprint wanted = config_footprint(inventory.config);
    for (int i = 0; i < kParts; ++i) {
      const auto part = static_cast<Part>(i);
      const bool has_copies = part == Part::kMtp && wanted[part].parameters > 0;  // of embedding and head
      EXPECT_EQ(inventory.stored[part].parameters,
                wanted[part].parameters + (has_copies ? 2 * wanted[Part::kEmbedding].parameters : 0))
          << part_name(part);
    }
    EXPECT_GT(inventory.stored.total().bytes, 0);
    EXPECT_LT(inventory.stored.total().bytes, inventory.file_bytes);
    EXPECT_EQ(inventory.files, 1);
  }
}

TEST(Footprint, AGgufHoldsTheSamePartsInFewerBytes) {
  const std::string folder = HADAL_SOURCE_DIR "/tests/golden/gguf/";
  const Inventory full = read_inventory(folder + "F16.gguf");
  const Footprint wanted = config_footprint(full.config);
  for (int i = 0; i < kParts; ++i) {
    const auto part = static_cast<Part>(i);
    EXPECT_EQ(full.stored[part].parameters, wanted[part].parameters) << part_name(part);
  }
  const Inventory small = read_inventory(folder + "Q4_K.gguf");
  EXPECT_EQ(small.stored.total().parameters, full.stored.total().parameters);
  EXPECT_LT(small.stored[Part::kRoutedExperts].bits_per_weight(), 5);
  EXPECT_NEAR(full.stored[Part::kRoutedExperts].bits_per_weight(), 16, 1e-9);
}

TEST(Footprint, NamesFindTheirParts) {
  const ModelConfig config = parse_config(v3(), "v3");
  Footprint f;
  const auto one = [&](const std::string& name) { add_tensor(config, name, "bf16", 10, 20, f); };
  one("model.layers.3.mlp.experts.255.up_proj.weight");
  one("model.layers.3.mlp.experts.255.up_proj.weight_scale_inv");
  one("model.layers.61.mlp.experts.0.up_proj.weight");
  one("model.layers.61.embed_tokens.weight");
  one("model.layers.0.self_attn.rotary_emb.inv_freq");
  one("something.else");
  one("model.layers.x.mlp.up_proj.weight");
  EXPECT_EQ(f[Part::kRoutedExperts].parameters, 10);
  EXPECT_EQ(f[Part::kRoutedExperts].bytes, 40);
  EXPECT_EQ(f[Part::kRoutedExperts].formats.at("scales"), 20);
  EXPECT_EQ(f[Part::kMtp].parameters, 20);
  EXPECT_EQ(f[Part::kOther].parameters, 30);
}

TEST(Footprint, ATiedHeadIsActiveAndNotCountedTwice) {
  Json json = qwen_7b();
  json["tie_word_embeddings"] = true;
  const Footprint tied = config_footprint(parse_config(json, "tied"));
  const Footprint untied = config_footprint(parse_config(qwen_7b(), "untied"));
  EXPECT_EQ(untied.model().parameters - tied.model().parameters, 152064LL * 3584);
  EXPECT_EQ(untied.model().active, tied.model().active);
}

}  // namespace
}  // namespace hadal::model
