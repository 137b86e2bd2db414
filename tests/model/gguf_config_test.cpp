#include "model/gguf_config.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <filesystem>

#include "base/error.h"

namespace hadal::model {
namespace {

namespace fs = std::filesystem;

const std::string kGolden = std::string(HADAL_SOURCE_DIR) + "/tests/golden/";

class GgufConfig : public testing::Test {
 protected:
  void TearDown() override { fs::remove(path_); }

  // Writes a GGUF of the config, with the tensors that reading it looks at, and reads the config back.
  ModelConfig through_gguf(const ModelConfig& config, int64_t layers) const {
    write(config, layers);
    const format::GgufFile file(path_);
    return parse_config(config_from_gguf(file), path_);
  }

  void write(const ModelConfig& config, int64_t layers, const std::string& extra_key = "",
             float extra = 0) const {
    format::GgufWriter writer(path_);
    config_to_gguf(config, layers, writer);
    writer.set("tokenizer.ggml.bos_token_id", static_cast<uint32_t>(config.bos_token_id));
    writer.set("tokenizer.ggml.eos_token_id", static_cast<uint32_t>(config.eos_token_id));
    if (!extra_key.empty()) writer.set(extra_key, extra);
    const auto& f32 = quant::weight_format(quant::WeightType::kF32);
    std::vector<float> factors;
    if (config.llama3_scaling) {
      factors = llama3_rope_factors(*config.llama3_scaling, config.head_dim, config.rope_theta);
      writer.declare(kRopeFreqs, {static_cast<int64_t>(factors.size())}, f32);
    }
    if (!config.tie_word_embeddings) writer.declare("output.weight", {1}, f32);
    if (config.qkv_bias) writer.declare("blk.0.attn_q.bias", {1}, f32);
    writer.begin();
    writer.write(std::as_bytes(std::span(factors)));
    const int64_t rest = writer.tensor_bytes() - static_cast<int64_t>(factors.size() * sizeof(float));
    writer.write(std::vector<std::byte>(static_cast<size_t>(rest)));
    writer.finish();
  }

  std::string refusal(const std::string& key, float value) const {
    const ModelConfig config = load_config(kGolden + "deepseek-v3");
    try {
      write(config, config.num_hidden_layers, key, value);
      const format::GgufFile file(path_);
      config_from_gguf(file);
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  const std::string path_ =
      (fs::temp_directory_path() / ("hadal-config-" + std::to_string(getpid()) + ".gguf")).string();
};

TEST_F(GgufConfig, ReadsWhatLlamaCppWrote) {
  const format::GgufFile file(kGolden + "gguf/F16.gguf");
  const ModelConfig config = parse_config(config_from_gguf(file), "F16.gguf");
  EXPECT_EQ(config.model_type, "deepseek_v3");
  EXPECT_EQ(config.vocab_size, file.find_tensor("token_embd.weight")->shape[0]);
  EXPECT_EQ(config.hidden_size, file.find_tensor("token_embd.weight")->shape[1]);
  const auto& k_b = file.find_tensor("blk.0.attn_k_b.weight")->shape;
  EXPECT_EQ(k_b, (tensor::Shape{config.num_attention_heads, config.kv_lora_rank, config.qk_nope_head_dim}));
  const auto& v_b = file.find_tensor("blk.0.attn_v_b.weight")->shape;
  EXPECT_EQ(v_b, (tensor::Shape{config.num_attention_heads, config.v_head_dim, config.kv_lora_rank}));
  const auto& experts = file.find_tensor("blk.1.ffn_gate_exps.weight")->shape;
  EXPECT_EQ(experts,
            (tensor::Shape{config.n_routed_experts, config.moe_intermediate_size, config.hidden_size}));
  ASSERT_TRUE(config.rope_scaling.has_value());
  EXPECT_EQ(config.rope_scaling->mscale, config.rope_scaling->mscale_all_dim);
  EXPECT_EQ(config.num_nextn_predict_layers, 0);
  EXPECT_EQ(config.rms_norm_eps, 1e-6);
}

TEST_F(GgufConfig, EveryGoldenConfigComesBack) {
  int seen = 0;
  for (const auto& entry : fs::directory_iterator(kGolden)) {
    if (!fs::exists(entry.path() / "config.json")) continue;
    ModelConfig config = load_config(entry.path().string());
    // What GGUF says in another way: Llama's order of q and k; a file without groups has no number of them.
    config.rope_interleave = config.is_mla() || config.model_type == "llama";
    if (config.topk_method == TopkMethod::kGreedy) config.n_group = config.topk_group = 1;
    const int64_t layers = config.num_hidden_layers + config.num_nextn_predict_layers;
    EXPECT_EQ(config_to_json(through_gguf(config, layers)), config_to_json(config)) << entry.path();
    ++seen;
  }
  EXPECT_GE(seen, 6);
}

ModelConfig llama31() {
  return parse_config(base::parse_json(R"({"architectures":["LlamaForCausalLM"],"model_type":"llama",
      "vocab_size":128256,"hidden_size":4096,"intermediate_size":14336,"num_hidden_layers":32,
      "num_attention_heads":32,"num_key_value_heads":8,"rope_theta":500000.0,"max_position_embeddings":131072,
      "rms_norm_eps":1e-5,"rope_interleave":true,"rope_scaling":{"rope_type":"llama3","factor":8.0,
      "low_freq_factor":1.0,"high_freq_factor":4.0,"original_max_position_embeddings":8192}})",
                                       "test"),
                      "test");
}

TEST_F(GgufConfig, Llama3ScalingIsFoundInItsFactors) {
  ModelConfig config = llama31();
  EXPECT_EQ(config_to_json(through_gguf(config, 32)), config_to_json(config));
  // Other numbers: the same factors come back, by other numbers that mean the same.
  config.llama3_scaling = {16, 2, 6, 4096};
  const auto expected = llama3_rope_factors(*config.llama3_scaling, config.head_dim, config.rope_theta);
  const ModelConfig back = through_gguf(config, 32);
  ASSERT_TRUE(back.llama3_scaling.has_value());
  const auto found = llama3_rope_factors(*back.llama3_scaling, back.head_dim, back.rope_theta);
  ASSERT_EQ(found.size(), expected.size());
  for (size_t i = 0; i < found.size(); ++i) EXPECT_NEAR(found[i], expected[i], 2e-4 * expected[i]) << i;
}

TEST_F(GgufConfig, RefusesWhatHadalCannotRun) {
  EXPECT_EQ(refusal("deepseek2.nothing", 1), "");
  EXPECT_EQ(refusal("deepseek2.logit_scale", 1), "");
  EXPECT_EQ(refusal("deepseek2.logit_scale", 2),
            "[gguf] " + path_ + ": deepseek2.logit_scale: 2 is not supported");
  ModelConfig config = load_config(kGolden + "deepseek-v3");
  config.rope_scaling->mscale = 0.5;
  EXPECT_THROW(through_gguf(config, 3), Error);
  config = load_config(kGolden + "deepseek-v3");
  config.rope_interleave = false;
  EXPECT_THROW(through_gguf(config, 3), Error);
  {
    format::GgufWriter writer(path_);
    writer.set("general.architecture", "gpt2");
    writer.begin();
    writer.finish();
  }
  const format::GgufFile other(path_);
  try {
    config_from_gguf(other);
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()), "[gguf] " + path_ +
                                         ": architecture \"gpt2\" is not supported (known: deepseek2, qwen2, "
                                         "qwen3, llama)");
  }
}

}  // namespace
}  // namespace hadal::model
