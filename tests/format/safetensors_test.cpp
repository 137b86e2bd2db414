#include "format/safetensors.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace hadal::format {
namespace {

namespace fs = std::filesystem;

// The bytes of a file: length, header, data. `length` overrides the header's true length.
std::string file_of(const std::string& header, size_t data_bytes, std::optional<uint64_t> length = {}) {
  const uint64_t n = length.value_or(header.size());
  std::string out;
  for (int i = 0; i < 8; ++i) out += static_cast<char>((n >> (8 * i)) & 0xFF);
  out += header;
  for (size_t i = 0; i < data_bytes; ++i) out += static_cast<char>(i);
  return out;
}

std::map<std::string, TensorView> parse(const std::string& file) {
  std::map<std::string, TensorView> tensors;
  std::map<std::string, std::string> metadata;
  parse_safetensors(std::as_bytes(std::span(file)), "f", tensors, metadata);
  return tensors;
}

// Expects an Error whose message names the file and contains `part`.
void expect_refused(const std::string& file, const std::string& part, ErrorCode code = ErrorCode::kBadInput) {
  try {
    parse(file);
    ADD_FAILURE() << "accepted; expected: " << part;
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), code) << e.what();
    EXPECT_NE(std::string(e.what()).find("[safetensors] f: "), std::string::npos) << e.what();
    EXPECT_NE(std::string(e.what()).find(part), std::string::npos) << e.what();
    EXPECT_EQ(std::string(e.what()).find('\n'), std::string::npos) << e.what();
  }
}

const char* const kTwoTensors =
    R"({"__metadata__":{"format":"pt"},"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]},)"
    R"("b":{"dtype":"U8","shape":[3],"data_offsets":[8,11]}})";

TEST(Safetensors, ReadsWhatItDescribes) {
  const std::string file = file_of(kTwoTensors, 11);
  const auto tensors = parse(file);
  ASSERT_EQ(tensors.size(), 2u);
  EXPECT_EQ(tensors.at("a").dtype, tensor::DType::kF32);
  EXPECT_EQ(tensors.at("a").shape, (tensor::Shape{2}));
  ASSERT_EQ(tensors.at("b").bytes.size(), 3u);
  EXPECT_EQ(static_cast<int>(tensors.at("b").bytes[2]), 10);
}

TEST(Safetensors, AcceptsScalarsEmptyTensorsAndPadding) {
  const auto tensors = parse(file_of(R"({"s":{"dtype":"F32","shape":[],"data_offsets":[0,4]},)"
                                     R"("e":{"dtype":"BF16","shape":[0,7],"data_offsets":[4,4]}}   )",
                                     4));
  EXPECT_EQ(tensors.at("s").bytes.size(), 4u);
  EXPECT_TRUE(tensors.at("e").bytes.empty());
}

TEST(Safetensors, RefusesEveryTruncation) {
  const std::string file = file_of(kTwoTensors, 11);
  for (size_t n = 0; n < file.size(); ++n) {
    EXPECT_THROW(parse(file.substr(0, n)), Error) << n << " of " << file.size() << " bytes were accepted";
  }
  expect_refused(file.substr(0, 5), "5 bytes are too few");
  expect_refused(file.substr(0, file.size() - 2),
                 "tensor b: data_offsets [8, 11] end 2 bytes past the end of the file");
}

TEST(Safetensors, RefusesAppendedBytes) {
  expect_refused(file_of(kTwoTensors, 13), "last 2 bytes belong to no tensor");
}

TEST(Safetensors, RefusesLyingHeaderLengths) {
  for (const uint64_t n :
       {uint64_t{1} << 63, ~uint64_t{0}, ~uint64_t{0} - 7, uint64_t{100'000'001}, uint64_t{3}}) {
    expect_refused(file_of("{}", 0, n), n == 3 ? "header of 3 bytes" : "header of ");
  }
  expect_refused(file_of(kTwoTensors, 11, 20), "not valid JSON");
}

TEST(Safetensors, RefusesBadLayouts) {
  const auto two = [](const char* a, const char* b) {
    return file_of(std::string(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":)") + a +
                       R"(},"b":{"dtype":"U8","shape":[4],"data_offsets":)" + b + "}}",
                   8);
  };
  EXPECT_EQ(parse(two("[4,8]", "[0,4]")).size(), 2u);  // any order is fine
  expect_refused(two("[0,4]", "[2,6]"), "tensor b at byte 2 overlaps tensor a that ends at 4");
  expect_refused(two("[0,4]", "[0,4]"), "overlaps");
  expect_refused(two("[0,4]", "[5,9]"), "tensor b: data_offsets [5, 9] end 1 bytes past the end of the file");
  expect_refused(two("[1,5]", "[0,4]"), "overlaps");
  expect_refused(two("[0,4]", "[18446744073709551612,0]"), "end before they begin");
  expect_refused(two("[0,4]", "[4,18446744073709551615]"), "past the end of the file");
  expect_refused(two("[0,4]", "[4,184467440737095516150]"), "not two counts");
  expect_refused(two("[0,4]", "[-4,0]"), "not two counts");
  expect_refused(two("[0,4]", "[4.0,8.0]"), "not two counts");
  expect_refused(two("[0,4]", "[4]"), "not [begin, end]");
  expect_refused(two("[0,4]", "[4,7]"), "needs 4 bytes");
  expect_refused(file_of(R"({"a":{"dtype":"U8","shape":[4],"data_offsets":[4,8]}})", 8),
                 "4 bytes before tensor a");
}

TEST(Safetensors, RefusesBadShapesAndTypes) {
  const auto one = [](const char* dtype, const char* shape) {
    return file_of(
        std::string(R"({"a":{"dtype":)") + dtype + R"(,"shape":)" + shape + R"(,"data_offsets":[0,8]}})", 8);
  };
  EXPECT_EQ(parse(one(R"("F32")", "[2,1]")).size(), 1u);
  expect_refused(one(R"("F32")", "[4294967296,4294967296,4]"), "overflows");
  expect_refused(one(R"("U8")", "[9223372036854775807,2]"), "overflows");
  expect_refused(one(R"("U8")", "[0,4611686018427387904,4]"), "overflows");
  expect_refused(one(R"("F32")", "[18446744073709551615]"), "not a count");
  expect_refused(one(R"("F32")", "[1e300]"), "not a count");
  expect_refused(one(R"("F32")", "[-2]"), "not a count");
  expect_refused(one(R"("F32")", R"(["2"])"), "not a count");
  expect_refused(one(R"("F32")", "[3]"), "needs 12 bytes");
  expect_refused(one(R"("BF16")", "[2]"), "BF16 [2] needs 4 bytes, data_offsets [0, 8] hold 8");
  expect_refused(one(R"("F32")", "[1,1,1,1,1,1,1,1,2]"), "9 dimensions");
  expect_refused(one(R"("F32")", "2"), "shape is missing or not an array");
  expect_refused(one("7", "[2]"), "dtype is missing or not a string");
  expect_refused(one(R"("F128")", "[2]"), R"(dtype "F128" is not supported)", ErrorCode::kUnsupported);
}

TEST(Safetensors, RefusesBadHeaders) {
  const std::string row = R"("a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]})";
  expect_refused(file_of("{" + row + "," + row + "}", 1), "\"a\" occurs twice");
  expect_refused(file_of(R"({"a":{"dtype":"U8","dtype":"U8","shape":[1],"data_offsets":[0,1]}})", 1),
                 "occurs twice");
  expect_refused(file_of("[]", 0), "not a JSON object");
  expect_refused(file_of("", 0), "not valid JSON");
  expect_refused(file_of("{\"a\":null}", 0), "not an object");
  expect_refused(file_of("{\"__metadata__\":{\"n\":1}}", 0), "__metadata__.n is not a string");
  expect_refused(file_of("{\"__metadata__\":[]}", 0), "__metadata__ is not an object");
  expect_refused(file_of("{\"\xff\":1}", 0), "not valid JSON");
  expect_refused(file_of("{\"a\":" + std::string(100'000, '['), 0), "nested deeper");
}

class SafetensorsFiles : public testing::Test {
 protected:
  void SetUp() override { fs::create_directories(directory_); }
  void TearDown() override { fs::remove_all(directory_); }
  const std::string directory_ =
      (fs::temp_directory_path() / ("hadal-format-" + std::to_string(getpid()))).string();
};

TEST_F(SafetensorsFiles, WritesWhatItReads) {
  const std::vector<float> values = {1.0f, -2.5f, 3.1415927f, 1e-40f, 65504.0f, INFINITY};
  const std::vector<std::byte> raw(16, std::byte{7});
  const std::vector<TensorToWrite> tensors = {
      {"z.\"quoted\"", tensor::DType::kBF16, {3, 2}, values.data(), {}},
      {"a", tensor::DType::kF32, {6}, values.data(), {}},
      {"ids", tensor::DType::kI64, {2}, nullptr, raw},
      {"none", tensor::DType::kF32, {0, 5}, nullptr, {}},
  };
  const std::string path = directory_ + "/out.safetensors";
  write_safetensors(path, tensors, {{"format", "pt"}});
  const SafetensorsFile file(path);
  EXPECT_EQ(file.metadata().at("format"), "pt");
  ASSERT_EQ(file.tensors().size(), 4u);
  std::vector<float> out(6);
  to_float(*file.find("a"), out.data());
  EXPECT_EQ(std::memcmp(out.data(), values.data(), 24), 0);
  to_float(*file.find("z.\"quoted\""), out.data());
  for (size_t i = 0; i < 6; ++i) {
    EXPECT_EQ(out[i], tensor::bf16_to_float(tensor::float_to_bf16(values[i])));
  }
  EXPECT_EQ(file.find("ids")->bytes[15], std::byte{7});
  EXPECT_EQ(file.find("missing"), nullptr);
  EXPECT_THROW(to_float(*file.find("ids"), out.data()), Error);
  // Data starts at a multiple of 8, and in the order given.
  const auto base = reinterpret_cast<uintptr_t>(file.find("z.\"quoted\"")->bytes.data());
  EXPECT_EQ(base % 8, 0u);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(file.find("a")->bytes.data()), base + 12);
}

TEST_F(SafetensorsFiles, FailedWriteLeavesTheOldFile) {
  const float one = 1;
  const std::vector<TensorToWrite> tensors = {{"a", tensor::DType::kF32, {1}, &one, {}}};
  const std::string path = directory_ + "/out.safetensors";
  write_safetensors(path, tensors);
  EXPECT_THROW(write_safetensors(directory_ + "/no/such/folder", tensors), Error);
  EXPECT_EQ(SafetensorsFile(path).tensors().size(), 1u);
  EXPECT_EQ(std::distance(fs::directory_iterator(directory_), fs::directory_iterator()), 1);
}

TEST_F(SafetensorsFiles, MissingAndEmptyFilesAreNamed) {
  EXPECT_THROW(SafetensorsFile(directory_ + "/none"), Error);
  const std::string path = directory_ + "/empty";
  base::write_file_atomic(path, "");
  try {
    const SafetensorsFile file(path);
    FAIL();
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find(path + ": 0 bytes are too few"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace hadal::format
