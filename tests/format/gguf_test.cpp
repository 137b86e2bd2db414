#include "format/gguf.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>
#include <fstream>

#include "base/error.h"
#include "base/random.h"
#include "format/gguf_writer.h"

namespace hadal::format {
namespace {

namespace fs = std::filesystem;

std::string golden(const std::string& name) {
  return std::string(HADAL_SOURCE_DIR) + "/tests/golden/gguf/" + name + ".gguf";
}

std::vector<float> decoded(const GgufTensor& tensor) {
  std::vector<float> out(static_cast<size_t>(tensor::element_count(tensor.shape)));
  tensor.format->to_float(tensor.bytes.data(), static_cast<int64_t>(out.size()), out.data());
  return out;
}

// Files that llama.cpp wrote, of one model: what each type holds is near what F16 holds.
TEST(Gguf, GoldenFilesHoldOneModelInEachType) {
  const GgufFile reference(golden("F16"));
  EXPECT_EQ(reference.find_value("general.architecture")->text(), "deepseek2");
  EXPECT_EQ(reference.tensors().size(), 34u);
  // The type, and the relative error that it may have on random weights.
  const std::pair<const char*, double> kTypes[] = {{"Q8_0", 0.006}, {"Q6_K", 0.022}, {"Q5_K", 0.045},
                                                   {"Q4_K", 0.09},  {"Q4_0", 0.11},  {"IQ4_XS", 0.09},
                                                   {"Q3_K", 0.17},  {"Q2_K", 0.35}};
  for (const auto& [type, bound] : kTypes) {
    const GgufFile file(golden(type));
    ASSERT_EQ(file.tensors().size(), reference.tensors().size()) << type;
    int quantized = 0;
    for (const auto& [name, tensor] : file.tensors()) {
      const GgufTensor* same = reference.find_tensor(name);
      ASSERT_NE(same, nullptr) << name;
      ASSERT_EQ(tensor.shape, same->shape) << name;
      const auto values = decoded(tensor);
      const auto expected = decoded(*same);
      double error = 0;
      double norm = 0;
      for (size_t i = 0; i < values.size(); ++i) {
        error += std::pow(values[i] - expected[i], 2);
        norm += std::pow(expected[i], 2);
      }
      EXPECT_LE(std::sqrt(error / norm), bound) << type << " " << name << " " << tensor.format->name;
      quantized += tensor.format->block_elements > 1;
    }
    EXPECT_GT(quantized, 10) << type;
  }
}

class GgufFiles : public testing::Test {
 protected:
  void SetUp() override {
    fs::remove_all(directory_);
    fs::create_directories(directory_);
  }
  void TearDown() override { fs::remove_all(directory_); }

  std::string path(const std::string& name) const { return directory_ + "/" + name; }

  // A small file of two tensors and values of the types that the writer has.
  void write_small(const std::string& name, std::vector<std::pair<std::string, uint32_t>> more = {},
                   const std::string& prefix = "") const {
    GgufWriter writer(path(name));
    writer.set("general.architecture", "deepseek2");
    writer.set("a.count", uint32_t{4000000000});
    writer.set("a.number", 0.25f);
    writer.set("a.flag", true);
    writer.set("a.texts", std::span<const std::string>(texts_));
    writer.set("a.integers", std::span<const int32_t>(integers_));
    writer.set("a.numbers", std::span<const float>(numbers_));
    for (const auto& [key, value] : more) writer.set(key, value);
    writer.declare(prefix + "norm", {3}, quant::weight_format(quant::WeightType::kF32));
    writer.declare(prefix + "w", {2, 32}, quant::weight_format(quant::WeightType::kQ8_0));
    EXPECT_EQ(writer.tensor_bytes(), 12 + 68);
    writer.begin();
    std::vector<std::byte> bytes(80);
    for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i);
    writer.write(std::span(bytes).first(5));
    writer.write(std::span(bytes).subspan(5));
    writer.finish();
  }

  std::vector<std::byte> read(const std::string& name) const {
    std::ifstream in(path(name), std::ios::binary);
    std::vector<char> bytes{std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>()};
    const auto* data = reinterpret_cast<const std::byte*>(bytes.data());
    return {data, data + bytes.size()};
  }

  // What parse_gguf says about the bytes; "" when it accepts them.
  static std::string refusal(const std::vector<std::byte>& bytes) {
    try {
      parse_gguf(bytes, "file");
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  }

  // `bytes` with the first occurrence of `from` (of the same length as `to`) replaced.
  static std::vector<std::byte> replaced(std::vector<std::byte> bytes, const std::string& from,
                                         const std::string& to) {
    std::string text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    const size_t at = text.find(from);
    EXPECT_NE(at, std::string::npos);
    EXPECT_EQ(from.size(), to.size());
    std::memcpy(bytes.data() + at, to.data(), to.size());
    return bytes;
  }

  const std::string directory_ =
      (fs::temp_directory_path() / ("hadal-gguf-" + std::to_string(getpid()))).string();
  const std::vector<std::string> texts_ = {"", "Ġdeep", std::string("a\0b", 3)};
  const std::vector<int32_t> integers_ = {-1, 7};
  const std::vector<float> numbers_ = {0.5f, -3.0f};
};

std::string u32(uint32_t value) {
  std::string out(4, '\0');
  std::memcpy(out.data(), &value, 4);
  return out;
}
std::string u64(uint64_t value) {
  return u32(static_cast<uint32_t>(value)) + u32(static_cast<uint32_t>(value >> 32));
}

TEST_F(GgufFiles, ReadsWhatItWrote) {
  write_small("m.gguf");
  EXPECT_TRUE(is_gguf(path("m.gguf")));
  const GgufFile file(path("m.gguf"));
  EXPECT_EQ(file.bytes(), static_cast<int64_t>(fs::file_size(path("m.gguf"))));
  EXPECT_EQ(file.find_value("a.count")->integer(), 4000000000);
  EXPECT_EQ(file.find_value("a.number")->number(), 0.25);
  EXPECT_TRUE(file.find_value("a.flag")->boolean());
  EXPECT_EQ(file.find_value("a.integers")->integers(), (std::vector<int64_t>{-1, 7}));
  EXPECT_EQ(file.find_value("a.numbers")->numbers(), (std::vector<double>{0.5, -3.0}));
  const auto texts = file.find_value("a.texts")->texts();
  EXPECT_TRUE(std::equal(texts.begin(), texts.end(), texts_.begin(), texts_.end()));
  EXPECT_EQ(file.find_value("a.nothing"), nullptr);
  const GgufTensor& w = *file.find_tensor("w");
  EXPECT_EQ(w.shape, (tensor::Shape{2, 32}));
  EXPECT_EQ(w.format->name, "q8_0");
  ASSERT_EQ(w.bytes.size(), 68u);
  EXPECT_EQ(w.bytes[0], std::byte{12});
  EXPECT_EQ(w.bytes[67], std::byte{79});
  EXPECT_THROW(file.find_value("a.count")->text(), Error);
  EXPECT_THROW(file.find_value("a.count")->integers(), Error);
  EXPECT_THROW(file.find_value("a.texts")->numbers(), Error);
  EXPECT_THROW(file.find_value("a.number")->integer(), Error);
  EXPECT_THROW(file.find_value("a.flag")->integers(), Error);
}

TEST_F(GgufFiles, AnAbandonedFileLeavesNothing) {
  {
    GgufWriter writer(path("m.gguf"));
    writer.declare("w", {1, 32}, quant::weight_format(quant::WeightType::kQ8_0));
    writer.begin();
  }
  EXPECT_TRUE(fs::is_empty(directory_));
}

TEST_F(GgufFiles, RefusesAFileCutAnywhere) {
  write_small("m.gguf");
  auto bytes = read("m.gguf");
  const size_t padded = bytes.size();
  bytes.resize(padded - 28);  // 68 bytes are padded to 96; the last padding may be missing
  EXPECT_EQ(refusal(bytes), "");
  while (!bytes.empty()) {
    bytes.pop_back();
    bytes.shrink_to_fit();
    EXPECT_NE(refusal(bytes), "") << bytes.size();
  }
}

TEST_F(GgufFiles, NamesWhatIsWrong) {
  write_small("m.gguf", {{"general.alignment", 32}});
  const auto good = read("m.gguf");
  EXPECT_EQ(refusal(good), "");
  EXPECT_EQ(refusal(replaced(good, "GGUF", "GGML")), "[gguf] file: not a GGUF file");
  EXPECT_NE(refusal(replaced(good, "GGUF" + u32(3), "GGUF" + u32(1))).find("version 1 is not supported"),
            std::string::npos);
  EXPECT_NE(refusal(replaced(good, "GGUF" + u32(3), "GGUF" + u32(3u << 24))).find("big-endian"),
            std::string::npos);
  EXPECT_EQ(refusal(replaced(good, "GGUF" + u32(3), "GGUF" + u32(2))), "");
  EXPECT_EQ(refusal(replaced(good, "a.number" + u32(6), "a.number" + u32(77))),
            "[gguf] file: a.number: value type 77 is unknown");
  EXPECT_EQ(refusal(replaced(good, "a.integers" + u32(9) + u32(5), "a.integers" + u32(9) + u32(9))),
            "[gguf] file: a.integers: an array of arrays is not supported");
  EXPECT_NE(refusal(replaced(good, "a.integers" + u32(9) + u32(5) + u64(2),
                             "a.integers" + u32(9) + u32(5) + u64(1ull << 62)))
                .find("go past the end of the file"),
            std::string::npos);
  EXPECT_NE(refusal(replaced(good, "a.texts" + u32(9) + u32(8) + u64(3),
                             "a.texts" + u32(9) + u32(8) + u64(1ull << 62))),
            "");
  for (const uint32_t alignment : {0u, 3u, 48u, 1u << 31}) {
    EXPECT_NE(refusal(replaced(good, "general.alignment" + u32(4) + u32(32),
                               "general.alignment" + u32(4) + u32(alignment)))
                  .find("general.alignment"),
              std::string::npos)
        << alignment;
  }
  // Tensors: "w" is name, 2 dimensions {32, 2}, type 8, offset 32.
  const std::string w = u64(1) + "w";
  const auto with_w = [&](uint32_t dimensions, uint64_t a, uint64_t b, uint32_t type, uint64_t offset) {
    return refusal(replaced(good, w + u32(2) + u64(32) + u64(2) + u32(8) + u64(32),
                            w + u32(dimensions) + u64(a) + u64(b) + u32(type) + u64(offset)));
  };
  EXPECT_EQ(with_w(2, 32, 2, 8, 32), "");
  EXPECT_NE(with_w(0, 32, 2, 8, 32), "");
  EXPECT_NE(with_w(5, 32, 2, 8, 32), "");
  EXPECT_NE(with_w(2, 32, 0, 8, 32), "");
  EXPECT_NE(with_w(2, 1ull << 62, 4, 8, 32), "");
  EXPECT_EQ(with_w(2, 33, 2, 8, 32),
            "[gguf] file: tensor w: rows of 33 values are not whole blocks of 32 (q8_0)");
  EXPECT_EQ(with_w(2, 32, 2, 16, 32), "[gguf] file: tensor w: type IQ2_XXS (16) is not supported");
  EXPECT_EQ(with_w(2, 32, 2, 99, 32), "[gguf] file: tensor w: type number 99 is not supported");
  EXPECT_EQ(with_w(2, 32, 2, 8, 33),
            "[gguf] file: tensor w: offset 33 is not a multiple of the alignment 32");
  EXPECT_EQ(with_w(2, 32, 2, 8, 0), "[gguf] file: tensor w at byte 0 overlaps tensor norm, which ends at 12");
  EXPECT_EQ(with_w(2, 32, 4, 8, 32),
            "[gguf] file: tensor w: 40 of its 136 bytes lie past the end of the file: is it whole?");
  EXPECT_NE(with_w(2, 32, 2, 8, 0xFFFFFFFFFFFFFFE0ull), "");
}

TEST_F(GgufFiles, RefusesDuplicates) {
  write_small("m.gguf", {{"b", 1}, {"c", 2}}, "x");
  const auto good = read("m.gguf");
  EXPECT_EQ(refusal(replaced(good, u64(1) + "c", u64(1) + "b")),
            "[gguf] file: b occurs twice in the metadata");
  GgufWriter writer(path("t.gguf"));
  const auto& f32 = quant::weight_format(quant::WeightType::kF32);
  writer.declare("ta", {1}, f32);
  writer.declare("tb", {1}, f32);
  writer.begin();
  writer.write(std::vector<std::byte>(8));
  writer.finish();
  EXPECT_EQ(refusal(replaced(read("t.gguf"), "tb", "ta")), "[gguf] file: tensor ta occurs twice");
}

TEST_F(GgufFiles, ReadsASplitModel) {
  const auto part = [&](uint32_t number, const std::string& name, const std::string& prefix) {
    write_small(name, {{"split.no", number}, {"split.count", 2}, {"split.tensors.count", 4}}, prefix);
  };
  part(0, "m-00001-of-00002.gguf", "a.");
  part(1, "m-00002-of-00002.gguf", "b.");
  const GgufFile file(path("m-00001-of-00002.gguf"));
  EXPECT_EQ(file.tensors().size(), 4u);
  EXPECT_NE(file.find_tensor("b.w"), nullptr);
  const auto refused = [&](const std::string& name) -> std::string {
    try {
      GgufFile opened(path(name));
    } catch (const Error& e) {
      return e.what();
    }
    return "";
  };
  EXPECT_NE(refused("m-00002-of-00002.gguf").find("give the first, NAME-00001-of-00002.gguf"),
            std::string::npos);
  part(0, "m-00002-of-00002.gguf", "b.");
  EXPECT_NE(refused("m-00001-of-00002.gguf").find("split.no is missing or not 1"), std::string::npos);
  part(1, "m-00002-of-00002.gguf", "a.");
  EXPECT_NE(refused("m-00001-of-00002.gguf").find("is in an earlier file too"), std::string::npos);
  fs::remove(path("m-00002-of-00002.gguf"));
  EXPECT_NE(refused("m-00001-of-00002.gguf").find("m-00002-of-00002.gguf"), std::string::npos);
}

}  // namespace
}  // namespace hadal::format
