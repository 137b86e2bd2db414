#include "model/config.h"

#include <gtest/gtest.h>

#include "base/error.h"

namespace hadal::model {
namespace {

base::Json golden(const std::string& name) {
  return base::read_json_file(std::string(HADAL_SOURCE_DIR) + "/tests/golden/" + name + "/config.json");
}

// The golden V3 config with some keys replaced ("k": null removes it).
base::Json with(const char* patch, const std::string& name = "deepseek-v3") {
  base::Json json = golden(name);
  json.merge_patch(base::parse_json(patch, "patch"));
  return json;
}

void expect_refused(const base::Json& json, const std::string& part, ErrorCode code = ErrorCode::kBadInput) {
  try {
    parse_config(json, "config.json");
    ADD_FAILURE() << "accepted; expected: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_NE(std::string(e.what()).find("[config] config.json: "), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(Config, ReadsDeepseekV3) {
  const auto config = parse_config(golden("deepseek-v3"), "v3");
  EXPECT_EQ(config.architecture, "DeepseekV3ForCausalLM");
  EXPECT_EQ(config.hidden_size, 128);
  EXPECT_EQ(config.q_lora_rank, 64);
  EXPECT_EQ(config.qk_head_dim(), 48);
  EXPECT_EQ(config.topk_method, TopkMethod::kNoauxTc);
  EXPECT_EQ(config.scoring_func, ScoringFunc::kSigmoid);
  EXPECT_TRUE(config.norm_topk_prob);
  EXPECT_EQ(config.routed_scaling_factor, 2.5);
  ASSERT_TRUE(config.rope_scaling);
  EXPECT_EQ(config.rope_scaling->factor, 40);
  EXPECT_EQ(config.rope_scaling->mscale_all_dim, 1.0);
  EXPECT_FALSE(config.is_moe_layer(0));
  EXPECT_TRUE(config.is_moe_layer(1));
}

TEST(Config, ReadsTheOtherFamilies) {
  const auto lite = parse_config(golden("deepseek-v2-lite"), "lite");
  EXPECT_EQ(lite.q_lora_rank, 0);
  EXPECT_EQ(lite.topk_method, TopkMethod::kGreedy);
  EXPECT_EQ(lite.rope_scaling->mscale, 0.707);
  EXPECT_EQ(parse_config(golden("deepseek-v2"), "v2").topk_method, TopkMethod::kGroupLimitedGreedy);
  const auto moonlight = parse_config(golden("moonlight"), "moonlight");
  EXPECT_FALSE(moonlight.rope_scaling);
  EXPECT_EQ(moonlight.rope_theta, 50000);
  EXPECT_EQ(parse_config(golden("deepseek-v3-mtp"), "mtp").num_nextn_predict_layers, 1);
}

TEST(Config, WhatIsWrittenReadsBackTheSame) {
  for (const char* name : {"deepseek-v3", "deepseek-v3-fp8", "deepseek-v2", "deepseek-v2-lite", "moonlight",
                           "deepseek-v3-mtp"}) {
    const auto written = config_to_json(parse_config(golden(name), name));
    EXPECT_EQ(config_to_json(parse_config(written, name)), written) << name;
    // Every key that both have must say the same.
    const auto original = golden(name);
    for (const auto& [key, value] : written.items()) {
      if (!original.contains(key)) continue;
      EXPECT_EQ(original.at(key), value) << name << "." << key;
    }
  }
}

TEST(Config, AbsentKeysMeanWhatHuggingFaceSays) {
  const auto v3 = parse_config(
      with(R"({"scoring_func":null,"topk_method":null,"norm_topk_prob":null,"moe_layer_freq":null,
    "num_key_value_heads":null,"attention_bias":null,"hidden_act":null,"model_type":null})"),
      "v3");
  EXPECT_EQ(v3.scoring_func, ScoringFunc::kSigmoid);
  EXPECT_EQ(v3.topk_method, TopkMethod::kNoauxTc);
  EXPECT_TRUE(v3.norm_topk_prob);
  EXPECT_EQ(v3.model_type, "deepseek_v3");
  const auto dense = parse_config(with(R"({"n_routed_experts":null})"), "dense");
  EXPECT_FALSE(dense.is_moe_layer(2));
  const auto by_type = parse_config(with(R"({"architectures":null})"), "type");
  EXPECT_EQ(by_type.architecture, "DeepseekV3ForCausalLM");
  const auto rope = parse_config(
      with(
          R"({"rope_scaling":null,"rope_theta":null,"rope_parameters":{"rope_type":"default","rope_theta":5e5}})"),
      "r");
  EXPECT_EQ(rope.rope_theta, 5e5);
  EXPECT_FALSE(rope.rope_scaling);
  EXPECT_EQ(parse_config(with(R"({"eos_token_id":[7,8]})"), "e").eos_token_id, 7);
}

TEST(Config, RefusesContradictions) {
  expect_refused(with(R"({"n_group":3})"), "n_group: 3 groups do not divide 16 n_routed_experts");
  expect_refused(with(R"({"topk_group":5})"), "topk_group: 5 of 4 n_group");
  expect_refused(with(R"({"num_experts_per_tok":17})"), "num_experts_per_tok: 17 of 16");
  expect_refused(with(R"({"num_experts_per_tok":9})"), "topk_group: 2 groups of 4 experts are fewer than");
  expect_refused(with(R"({"n_group":16,"topk_group":8})"), "n_group: 16 groups leave 1 expert each");
  expect_refused(with(R"({"num_key_value_heads":2})"),
                 "num_key_value_heads: 2 differs from num_attention_heads 4");
  expect_refused(with(R"({"qk_rope_head_dim":15})"), "qk_rope_head_dim: 15 is odd");
  expect_refused(with(R"({"first_k_dense_replace":4})"), "first_k_dense_replace: 4 is not in 0..3");
  expect_refused(with(R"({"eos_token_id":320})"), "eos_token_id: 320 is not a token of a vocabulary of 320");
  expect_refused(with(R"({"bos_token_id":-1})"), "bos_token_id: -1");
  expect_refused(with(R"({"eos_token_id":[]})"), "eos_token_id: an empty list");
  expect_refused(with(R"({"model_type":"deepseek_v2"})"),
                 "\"deepseek_v2\" contradicts architecture DeepseekV3ForCausalLM");
  expect_refused(with(R"({"rope_parameters":{"rope_type":"default"}})"),
                 "rope_parameters: given beside rope_scaling");
}

TEST(Config, RefusesMissingWrongAndAbsurdValues) {
  for (const char* key : {"vocab_size", "hidden_size", "intermediate_size", "num_hidden_layers",
                          "num_attention_heads", "kv_lora_rank", "qk_nope_head_dim", "qk_rope_head_dim",
                          "v_head_dim", "moe_intermediate_size", "num_experts_per_tok"}) {
    base::Json json = golden("deepseek-v3");
    json.erase(key);
    expect_refused(json, std::string(key) + ": missing");
    for (const base::Json& bad :
         {base::Json(0), base::Json(-3), base::Json(1.5), base::Json("128"), base::Json(true),
          base::Json(uint64_t{1} << 40), base::Json(~uint64_t{0}), base::Json::array({128})}) {
      json[key] = bad;
      expect_refused(json, std::string(key) + ": ");
    }
  }
  expect_refused(with(R"({"rms_norm_eps":0})"), "rms_norm_eps: 0 is not in (0, 1]");
  expect_refused(with(R"({"rope_theta":-1})"), "rope_theta");
  expect_refused(with(R"({"routed_scaling_factor":"x"})"), "routed_scaling_factor: \"x\" is not a number");
  expect_refused(with(R"({"norm_topk_prob":1})"), "norm_topk_prob: 1 is not true or false");
  expect_refused(with(R"({"rope_scaling":{"factor":0.5}})"), "rope_scaling.factor: 0.5 is below 1");
  expect_refused(with(R"({"rope_scaling":{"factor":null}})"), "rope_scaling.factor: missing");
  expect_refused(with(R"({"rope_scaling":{"type":null}})"), "rope_scaling: type (or rope_type) is missing");
  expect_refused(with(R"({"rope_scaling":{"beta_fast":0.5}})"),
                 "rope_scaling.beta_fast: 0.5 is below beta_slow 1");
  expect_refused(base::Json::array(), "not a JSON object");
}

TEST(Config, RefusesWhatItDoesNotDoByName) {
  const auto unsupported = [](const char* patch, const char* part) {
    expect_refused(with(patch), part, ErrorCode::kUnsupported);
  };
  unsupported(R"({"architectures":["MambaForCausalLM"],"model_type":"mamba"})",
              "architectures: \"MambaForCausalLM\" is not supported (known: DeepseekV2ForCausalLM, "
              "DeepseekV3ForCausalLM, Glm4MoeLiteForCausalLM, Qwen2ForCausalLM, Qwen3ForCausalLM, "
              "LlamaForCausalLM)");
  unsupported(R"({"architectures":null,"model_type":"mamba"})", "model_type: \"mamba\" is not supported");
  unsupported(R"({"attention_bias":true})", "attention_bias: true is not supported");
  unsupported(R"({"hidden_act":"gelu"})", "hidden_act: \"gelu\" is not supported (known: silu)");
  unsupported(R"({"topk_method":"best"})",
              "topk_method: \"best\" is not supported (known: greedy, group_limited_greedy, noaux_tc)");
  unsupported(R"({"scoring_func":"tanh"})", "scoring_func: \"tanh\"");
  unsupported(R"({"rope_scaling":{"type":"linear"}})", "rope_scaling: type \"linear\" is not supported");
  unsupported(R"({"rope_scaling":{"long_factor":2}})", "rope_scaling: \"long_factor\" is not supported");
  unsupported(R"({"partial_rotary_factor":0.5})", "partial_rotary_factor: only 1 is supported");
  unsupported(R"({"layer_types":["full_attention","sliding_attention"]})",
              "layer_types: \"sliding_attention\" is not supported");
  unsupported(R"({"ep_size":8})", "ep_size: 8 is not supported");
  unsupported(R"({"num_nextn_predict_layers":2})", "num_nextn_predict_layers: 2 MTP modules");
}

TEST(Config, ReadsTheDenseFamilies) {
  const auto dense = [](const char* patch) {
    auto json = base::Json::parse(R"({"vocab_size":320,"hidden_size":128,"intermediate_size":352,
      "num_hidden_layers":3,"num_attention_heads":4,"num_key_value_heads":2})");
    json.merge_patch(base::Json::parse(patch));
    return parse_config(json, "here");
  };
  const auto qwen2 = dense(R"({"architectures":["Qwen2ForCausalLM"],"model_type":"qwen2"})");
  EXPECT_FALSE(qwen2.is_mla());
  EXPECT_TRUE(qwen2.qkv_bias && !qwen2.o_bias && !qwen2.qk_norm && !qwen2.rope_interleave);
  EXPECT_EQ(qwen2.head_dim, 32);
  EXPECT_EQ(qwen2.cache_dim(), 2 * 2 * 32);
  const auto qwen3 = dense(R"({"architectures":["Qwen3ForCausalLM"],"model_type":"qwen3"})");
  EXPECT_TRUE(!qwen3.qkv_bias && qwen3.qk_norm);
  EXPECT_EQ(qwen3.head_dim, 128);
  const auto llama = dense(R"({"model_type":"llama","head_dim":64,"attention_bias":true,"rope_scaling":
    {"rope_type":"llama3","factor":8,"low_freq_factor":1,"high_freq_factor":4,
     "original_max_position_embeddings":64}})");
  EXPECT_TRUE(llama.qkv_bias && llama.o_bias);
  ASSERT_TRUE(llama.llama3_scaling.has_value());
  EXPECT_EQ(llama.llama3_scaling->factor, 8);
  for (const ModelConfig& config : {qwen2, qwen3, llama}) {
    const auto again = parse_config(config_to_json(config), "again");
    EXPECT_EQ(config_to_json(again), config_to_json(config)) << config.model_type;
  }
  EXPECT_EQ(qwen2.active_matmul_parameters(), 320 * 128 + 3 * (128 * 32 * (2 * 4 + 2 * 2) + 3 * 128 * 352));
  expect_refused(
      with(R"({"num_key_value_heads":3,"architectures":["LlamaForCausalLM"],"model_type":"llama"})"),
      "num_key_value_heads: 3 does not divide");
}

// DeepSeek-R1-0528-Qwen3-8B: the two factors cancel.
TEST(Config, YarnsAttnFactorMultipliesTheDefault) {
  const auto config = parse_config(with(R"({"rope_scaling":{"type":"yarn","factor":4.0,
    "attn_factor":0.8782488562869419}})"),
                                   "here");
  EXPECT_NEAR(config.rope_scaling->attention_factor, 1.0, 1e-9);
  const auto given = parse_config(with(R"({"rope_scaling":{"type":"yarn","factor":4.0,
    "attention_factor":1.5}})"),
                                  "here");
  EXPECT_EQ(given.rope_scaling->attention_factor, 1.5);
  EXPECT_EQ(config_to_json(parse_config(config_to_json(given), "again")), config_to_json(given));
}

TEST(Config, CountsActiveMatmulParameters) {
  // deepseek-v3, by hand: q 64*(128+4*48), kv_a 128*80, kv_b 64*4*64, o 128*128; dense 3*128*352; MoE
  // 3*128*64*5 + 128*16.
  const int64_t attention = 64 * (128 + 192) + 128 * 80 + 64 * 256 + 128 * 128;
  const int64_t moe = 3 * 128 * 64 * 5 + 128 * 16;
  EXPECT_EQ(parse_config(golden("deepseek-v3"), "v3").active_matmul_parameters(),
            3 * attention + 3 * 128 * 352 + 2 * moe + 320 * 128);
  // The MTP module is not part of the main model.
  EXPECT_EQ(parse_config(golden("deepseek-v3-mtp"), "mtp").active_matmul_parameters(),
            parse_config(golden("deepseek-v3"), "v3").active_matmul_parameters());
  // Without q LoRA the query is one matrix.
  EXPECT_EQ(parse_config(with(R"({"q_lora_rank":null})"), "v3").active_matmul_parameters() -
                parse_config(golden("deepseek-v3"), "v3").active_matmul_parameters(),
            3 * (128 * 192 - 64 * (128 + 192)));
}

}  // namespace
}  // namespace hadal::model
