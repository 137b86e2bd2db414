// Loading a checkpoint for inference: what it takes, what it leaves, and what it refuses by name.
#include "model/stored_weights.h"

#include <gtest/gtest.h>

#include <cstring>
#include <vector>

#include "base/error.h"
#include "format/hf_directory.h"
#include "format/safetensors.h"
#include "model/gguf_config.h"
#include "model/gguf_source.h"
#include "support/temporary_folder.h"

namespace hadal::model {
namespace {

std::string golden(const std::string& name) {
  return std::string(HADAL_SOURCE_DIR) + "/tests/golden/" + name;
}

StoredWeights load(const std::string& name, const ModelConfig& config) {
  return {config, std::make_unique<format::WeightSource>(format::WeightSource::open(golden(name)))};
}

void expect_refused(const std::string& name, const ModelConfig& config, const std::string& part) {
  try {
    load(name, config);
    ADD_FAILURE() << "not refused: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput);
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
  }
}

TEST(StoredWeights, MatricesLieInTheFilesMap) {
  const auto w = load("deepseek-v3-fp8", load_config(golden("deepseek-v3-fp8")));
  EXPECT_EQ(w.layers.size(), 3u);
  const auto& down = w.layers[0].mlp.down_proj;
  EXPECT_EQ(down.format->name, "fp8_block");
  ASSERT_NE(down.scale_inv, nullptr);
  EXPECT_EQ(down.scale_cols, quant::fp8_block_count(down.cols, 128));
  EXPECT_GT(w.bytes_per_token(), 0);
  EXPECT_LT(w.bytes_per_token(), w.bytes());
}

TEST(StoredWeights, AnMtpModuleIsTakenIgnoredOrMissing) {
  auto config = load_config(golden("deepseek-v3-mtp"));
  ASSERT_EQ(config.num_nextn_predict_layers, 1);
  EXPECT_TRUE(load("deepseek-v3-mtp", config).mtp.has_value());
  config.num_nextn_predict_layers = 0;
  EXPECT_FALSE(load("deepseek-v3-mtp", config).mtp.has_value());
  auto without = load_config(golden("deepseek-v3"));
  without.num_nextn_predict_layers = 1;
  const auto w = load("deepseek-v3", without);
  EXPECT_FALSE(w.mtp.has_value());
  EXPECT_EQ(w.config().num_nextn_predict_layers, 0);
}

TEST(StoredWeights, RefusesAConfigThatContradictsTheWeights) {
  const auto config = load_config(golden("qwen2"));
  auto wider = config;
  wider.intermediate_size = 400;
  expect_refused("qwen2", wider,
                 "model.layers.0.mlp.gate_proj.weight has shape [352, 128], the config asks for [400, 128]");
  auto deeper = config;
  deeper.num_hidden_layers = 4;
  expect_refused("qwen2", deeper, "model.layers.3.input_layernorm.weight is missing");
  auto shallower = config;
  shallower.num_hidden_layers = 2;
  expect_refused("qwen2", shallower, "has no place in the model");
  auto without_bias = config;
  without_bias.qkv_bias = false;
  expect_refused("qwen2", without_bias, "_proj.bias has no place in the model");
  auto normed = config;
  normed.qk_norm = true;
  expect_refused("qwen2", normed, "self_attn.q_norm.weight is missing");
}

TEST(StoredWeights, GgufHoldsKvBSplit) {
  auto file = std::make_shared<const format::GgufFile>(golden("gguf/Q4_0.gguf"));
  const auto config = parse_config(config_from_gguf(*file), file->path());
  const std::string architecture(gguf_architecture(config));
  const StoredWeights w(config, std::make_unique<GgufSource>(file, architecture));
  EXPECT_TRUE(w.layers[0].mla.kv_b_proj.is_split());
  EXPECT_EQ(w.layers[0].mla.kv_b_proj.k.rows, config.num_attention_heads * config.kv_lora_rank);
  EXPECT_EQ(w.layers.back().moe->experts.size(), static_cast<size_t>(config.n_routed_experts));
  auto shallower = config;
  shallower.num_hidden_layers -= 1;
  try {
    const StoredWeights refused(shallower, std::make_unique<GgufSource>(file, architecture));
    ADD_FAILURE() << "not refused";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("has no place in the model of its metadata"), std::string::npos)
        << e.what();
  }
}

// V3.1's scales are powers of two; a newer writer stores the exponents alone.
TEST(StoredWeights, Ue8m0ScalesArePowersOfTwo) {
  const test::TemporaryFolder folder;
  const std::vector<std::byte> values(4, std::byte{0x38});  // E4M3 1.0
  std::vector<std::byte> scale = {std::byte{124}};          // 2^-3
  const auto write = [&] {
    const std::vector<format::TensorToWrite> tensors = {
        {"w", tensor::DType::kF8E4M3, {2, 2}, nullptr, values},
        {"w_scale_inv", tensor::DType::kF8E8M0, {1, 1}, nullptr, scale}};
    format::write_safetensors(folder / "model.safetensors", tensors);
  };
  write();
  const auto source = format::WeightSource::open(folder.path());
  std::vector<float> out(4);
  source.read("w", {2, 2}, out.data());
  EXPECT_EQ(out, std::vector<float>(4, 0.125f));
  EXPECT_EQ(source.find("w")->scale_inv[0], 0.125f);
  scale[0] = std::byte{0xFF};
  write();
  try {
    format::WeightSource::open(folder.path());
    ADD_FAILURE() << "a NaN scale was taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("w_scale_inv: scale 0 is nan"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace hadal::model
