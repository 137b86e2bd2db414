#include "format/hf_directory.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <filesystem>

#include "base/error.h"

namespace hadal::format {
namespace {

namespace fs = std::filesystem;

class HfDirectory : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }
  void write(const std::string& name, const std::vector<TensorToWrite>& tensors) const {
    write_safetensors(path(name), tensors);
  }
  void write_text(const std::string& name, const std::string& text) const {
    base::write_file_atomic(path(name), text);
  }
  void expect_refused(const std::string& part) const {
    try {
      WeightSource::open(directory_);
      ADD_FAILURE() << "accepted; expected: " << part;
    } catch (const Error& e) {
      EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
      EXPECT_NE(std::string(e.what()).find(directory_), std::string::npos) << e.what();
    }
  }

  // An E4M3 tensor "w" [rows, cols] of ones, and scales of the given shape: 1, 2, 3, ...
  void write_fp8(int64_t rows, int64_t cols, const tensor::Shape& scale_shape) {
    ones_.assign(static_cast<size_t>(rows * cols), std::byte{0x38});  // 1.0
    scales_.resize(static_cast<size_t>(tensor::element_count(scale_shape)));
    for (size_t i = 0; i < scales_.size(); ++i) scales_[i] = static_cast<float>(i + 1);
    write("model.safetensors", {{"w", tensor::DType::kF8E4M3, {rows, cols}, nullptr, ones_},
                                {"w_scale_inv", tensor::DType::kF32, scale_shape, scales_.data(), {}}});
  }

  const std::string directory_ =
      (fs::temp_directory_path() / ("hadal-hf-" + std::to_string(getpid()))).string();
  const std::vector<float> values_ = {1, 2, 3, 4, 5, 6};
  std::vector<std::byte> ones_;
  std::vector<float> scales_;
};

TEST_F(HfDirectory, ReadsOneFile) {
  write("model.safetensors", {{"a", tensor::DType::kBF16, {2, 3}, values_.data(), {}}});
  const auto source = WeightSource::open(directory_);
  EXPECT_TRUE(source.has("a"));
  EXPECT_FALSE(source.has("b"));
  EXPECT_EQ(source.names(), std::vector<std::string>{"a"});
  std::vector<float> out(6);
  source.read("a", {2, 3}, out.data());
  EXPECT_EQ(out, values_);
}

TEST_F(HfDirectory, ReadsShards) {
  write("model-1.safetensors", {{"a", tensor::DType::kF32, {2}, values_.data(), {}}});
  write("model-2.safetensors", {{"b", tensor::DType::kF32, {3}, values_.data() + 2, {}}});
  write_text(
      "model.safetensors.index.json",
      R"({"metadata":{"total_size":20},"weight_map":{"a":"model-1.safetensors","b":"model-2.safetensors"}})");
  const auto source = WeightSource::open(directory_);
  EXPECT_EQ(source.names(), (std::vector<std::string>{"a", "b"}));
  std::vector<float> out(3);
  source.read("b", {3}, out.data());
  EXPECT_EQ(out, (std::vector<float>{3, 4, 5}));
}

TEST_F(HfDirectory, RefusesAnIndexThatLies) {
  write("s.safetensors", {{"a", tensor::DType::kF32, {2}, values_.data(), {}}});
  const auto index = [&](const std::string& map) {
    write_text("model.safetensors.index.json", R"({"weight_map":)" + map + "}");
  };
  index(R"({"a":"s.safetensors","b":"s.safetensors"})");
  expect_refused("tensor b is not in this file");
  index(R"({"a":"gone.safetensors"})");
  expect_refused("gone.safetensors");
  for (const char* name : {R"("../s.safetensors")", R"("/etc/passwd")", R"("")", "7", R"("s\u0000x")"}) {
    index(std::string(R"({"a":)") + name + "}");
    expect_refused("is not a file name");
  }
  index("[]");
  expect_refused("weight_map is missing or not an object");
  write_text("model.safetensors.index.json", "{");
  expect_refused("not valid JSON");
}

TEST_F(HfDirectory, RefusesAnEmptyDirectory) { expect_refused("neither model.safetensors nor"); }

TEST_F(HfDirectory, NamesWhatContradictsTheConfig) {
  write("model.safetensors", {{"a", tensor::DType::kF32, {2, 3}, values_.data(), {}}});
  const auto source = WeightSource::open(directory_);
  std::vector<float> out(6);
  const auto message = [&](const std::string& name, const tensor::Shape& shape) -> std::string {
    try {
      source.read(name, shape, out.data());
    } catch (const Error& e) {
      return e.what();
    }
    return "accepted";
  };
  EXPECT_EQ(message("a", {3, 2}), "[safetensors] " + path("model.safetensors") +
                                      ": tensor a has shape [2, 3], the config asks for [3, 2]");
  EXPECT_EQ(message("a", {6}), "[safetensors] " + path("model.safetensors") +
                                   ": tensor a has shape [2, 3], the config asks for [6]");
  EXPECT_EQ(message("b", {6}),
            "[safetensors] " + directory_ + ": tensor b is missing, the config asks for [6]");
}

TEST_F(HfDirectory, RefusesWeightsThatTheConfigHasNoPlaceFor) {
  const auto* v = values_.data();
  write("model.safetensors", {{"lm_head.weight", tensor::DType::kF32, {2}, v, {}},
                              {"model.embed_tokens.weight", tensor::DType::kF32, {2}, v, {}},
                              {"model.layers.0.rotary_emb.inv_freq", tensor::DType::kF32, {1}, v, {}},
                              {"model.layers.3.embed_tokens.weight", tensor::DType::kF32, {2}, v + 2, {}},
                              {"model.layers.3.shared_head.head.weight", tensor::DType::kF32, {2}, v + 2, {}},
                              {"model.norm.weight", tensor::DType::kF32, {1}, v, {}}});
  const auto source = WeightSource::open(directory_);
  source.refuse_unused({"model.embed_tokens.weight", "model.norm.weight"}, "");  // the head is tied
  try {
    source.refuse_unused({"model.embed_tokens.weight"}, "");
    FAIL();
  } catch (const Error& e) {
    EXPECT_EQ(std::string(e.what()),
              "[safetensors] " + path("model.safetensors") +
                  ": tensor model.norm.weight has no place in the model of config.json");
  }
  write("model.safetensors", {{"lm_head.weight", tensor::DType::kF32, {2}, v + 1, {}},
                              {"model.embed_tokens.weight", tensor::DType::kF32, {2}, v, {}}});
  const auto untied = WeightSource::open(directory_);
  EXPECT_THROW(untied.refuse_unused({"model.embed_tokens.weight"}, ""), Error);
  EXPECT_THROW(untied.check("lm_head.weight", {3}), Error);
  untied.check("lm_head.weight", {2});
}

TEST_F(HfDirectory, RefusesIntegersAsWeights) {
  const std::vector<std::byte> raw(8);
  write("model.safetensors", {{"ids", tensor::DType::kI64, {1}, nullptr, raw}});
  const auto source = WeightSource::open(directory_);
  float out = 0;
  EXPECT_THROW(source.read("ids", {1}, &out), Error);
}

TEST_F(HfDirectory, DequantizesFp8BlocksWithRaggedEdges) {
  write_fp8(130, 257, {2, 3});
  const auto source = WeightSource::open(directory_);
  EXPECT_EQ(source.names(), std::vector<std::string>{"w"});  // the scales are not a weight
  std::vector<float> out(130 * 257);
  source.read("w", {130, 257}, out.data());
  for (int64_t i = 0; i < 130; ++i) {
    for (int64_t j = 0; j < 257; ++j) {
      ASSERT_EQ(out[static_cast<size_t>(i * 257 + j)], static_cast<float>(i / 128 * 3 + j / 128 + 1))
          << i << "," << j;
    }
  }
}

TEST_F(HfDirectory, TakesTheBlockSizeFromTheConfig) {
  write_text("config.json",
             R"({"quantization_config":{"quant_method":"fp8","fmt":"e4m3","weight_block_size":[2,4]}})");
  write_fp8(3, 5, {2, 2});
  const auto source = WeightSource::open(directory_);
  std::vector<float> out(15);
  source.read("w", {3, 5}, out.data());
  EXPECT_EQ(out, (std::vector<float>{1, 1, 1, 1, 2, 1, 1, 1, 1, 2, 3, 3, 3, 3, 4}));
}

TEST_F(HfDirectory, RefusesBadFp8) {
  write_fp8(130, 257, {2, 2});
  expect_refused("tensor w_scale_inv is F32 [2, 2], but [130, 257] in blocks of 128 x 128 needs [2, 3]");
  write("model.safetensors", {{"w", tensor::DType::kF8E4M3, {130, 257}, nullptr, ones_}});
  expect_refused("tensor w is F8_E4M3, but w_scale_inv is missing");
  write("model.safetensors", {{"w", tensor::DType::kF8E4M3, {130 * 257}, nullptr, ones_},
                              {"w_scale_inv", tensor::DType::kF32, {1}, values_.data(), {}}});
  expect_refused("not a matrix");
  write_fp8(4, 4, {1, 1});
  for (const char* size : {"[0,128]", "[128]", "[128,-1]", "[1.5,2]", "[99999999999,1]", "\"x\""}) {
    write_text("config.json", std::string(R"({"quantization_config":{"weight_block_size":)") + size + "}}");
    expect_refused("weight_block_size");
  }
  write_text("config.json", R"({"quantization_config":{"quant_method":"gptq"}})");
  expect_refused("quant_method \"gptq\"");
}

}  // namespace
}  // namespace hadal::format
