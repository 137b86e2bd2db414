#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/fp8_block.h"
#include "quant/k_scales.h"
#include "quant/registry.h"

namespace hadal::quant {
namespace {

// OCP 8-bit floating point specification, E4M3: written out from the definition, bit by bit.
double e4m3_by_definition(int code) {
  const int sign = code >> 7;
  const int exponent = (code >> 3) & 15;
  double fraction = 0;
  for (int bit = 0; bit < 3; ++bit) fraction += ((code >> bit) & 1) * std::pow(2.0, bit - 3);
  const double magnitude =
      exponent == 0 ? fraction * std::pow(2.0, -6) : (1 + fraction) * std::pow(2.0, exponent - 7);
  return sign ? -magnitude : magnitude;
}

TEST(E4M3, AllCodes) {
  for (int code = 0; code < 256; ++code) {
    const auto byte = static_cast<std::byte>(code);
    float value = 0;
    e4m3_to_float(&byte, 1, &value);
    if ((code & 0x7F) == 0x7F) {
      EXPECT_TRUE(std::isnan(value)) << code;
    } else {
      EXPECT_EQ(value, static_cast<float>(e4m3_by_definition(code))) << code;
      EXPECT_EQ(std::signbit(value), code >= 128) << code;
    }
  }
  const std::byte largest{0x7E};
  float value = 0;
  e4m3_to_float(&largest, 1, &value);
  EXPECT_EQ(value, 448.0f);
}

TEST(Fp8Block, RandomShapesAndBlocks) {
  base::Random random(1);
  for (int round = 0; round < 200; ++round) {
    const auto rows = static_cast<int64_t>(1 + random.below(40));
    const auto cols = static_cast<int64_t>(1 + random.below(40));
    const Fp8BlockShape block{static_cast<int64_t>(1 + random.below(20)),
                              static_cast<int64_t>(1 + random.below(20))};
    const int64_t across = fp8_block_count(cols, block.cols);
    std::vector<std::byte> bytes(static_cast<size_t>(rows * cols));
    for (auto& b : bytes) b = static_cast<std::byte>(random.below(127) | (random.below(2) << 7));  // no NaN
    std::vector<float> scales(static_cast<size_t>(fp8_block_count(rows, block.rows) * across));
    for (auto& s : scales) s = static_cast<float>(random.normal());
    std::vector<float> out(bytes.size() + 1, 12345.0f);
    fp8_block_to_float(bytes.data(), rows, cols, scales.data(), block, out.data());
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        const float scale = scales[static_cast<size_t>(i / block.rows * across + j / block.cols)];
        const auto code = static_cast<int>(bytes[static_cast<size_t>(i * cols + j)]);
        ASSERT_EQ(out[static_cast<size_t>(i * cols + j)],
                  static_cast<float>(e4m3_by_definition(code)) * scale);
      }
    }
    ASSERT_EQ(out.back(), 12345.0f);
  }
}

TEST(Bf16, ReadsEveryCodeAndWritesItBack) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto code = static_cast<uint16_t>(bits);
    std::byte bytes[3];  // at an odd address
    std::memcpy(bytes + 1, &code, 2);
    float value = 0;
    bf16_to_float(bytes + 1, 1, &value);
    ASSERT_EQ(std::bit_cast<uint32_t>(value), bits << 16);
    std::byte again[2];
    bf16_from_float(&value, 1, again);
    if (std::isnan(value)) continue;
    ASSERT_EQ(std::memcmp(again, bytes + 1, 2), 0) << bits;
  }
}

TEST(Bf16, RoundsToNearestEven) {
  const auto rounded = [](float value) {
    std::byte bytes[2];
    bf16_from_float(&value, 1, bytes);
    float out = 0;
    bf16_to_float(bytes, 1, &out);
    return out;
  };
  EXPECT_EQ(rounded(1.0f + 0x1p-8f), 1.0f);               // a tie: to the even code
  EXPECT_EQ(rounded(1.0f + 0x3p-8f), 1.0f + 0x2p-7f);     // a tie: to the even code above
  EXPECT_EQ(rounded(1.0f + 0x1.02p-8f), 1.0f + 0x1p-7f);  // above a tie
  EXPECT_EQ(rounded(0x1.ffp127f), INFINITY);              // past the largest
  EXPECT_TRUE(std::isnan(rounded(NAN)));
  EXPECT_TRUE(std::isnan(rounded(std::bit_cast<float>(0x7F800001u))));  // must not round to infinity
}

TEST(F16, EveryCodeByDefinition) {
  for (int code = 0; code < 65536; ++code) {
    const auto bits = static_cast<uint16_t>(code);
    float value = 0;
    f16_to_float(reinterpret_cast<const std::byte*>(&bits), 1, &value);
    const int exponent = (code >> 10) & 31;
    const double fraction = (code & 1023) / 1024.0;
    if (exponent == 31) {
      ASSERT_EQ(std::isnan(value), fraction != 0);
      if (fraction == 0) {
        ASSERT_EQ(value, code < 32768 ? INFINITY : -INFINITY);
      }
      continue;
    }
    double magnitude =
        exponent == 0 ? fraction * std::pow(2.0, -14) : (1 + fraction) * std::pow(2.0, exponent - 15);
    if (code >= 32768) magnitude = -magnitude;
    ASSERT_EQ(static_cast<double>(value), magnitude) << code;
  }
}

TEST(F16, WritesBackEveryCodeAndRoundsToNearestEven) {
  for (uint32_t bits = 0; bits < 65536; ++bits) {
    const auto code = static_cast<uint16_t>(bits);
    const float value = tensor::f16_to_float(code);
    if (!std::isnan(value)) {
      ASSERT_EQ(tensor::float_to_f16(value), code) << bits;
    }
  }
  const auto rounded = [](float value) { return tensor::f16_to_float(tensor::float_to_f16(value)); };
  EXPECT_EQ(rounded(1.0f + 0x1p-11f), 1.0f);                // a tie: to the even code
  EXPECT_EQ(rounded(1.0f + 0x3p-11f), 1.0f + 0x2p-10f);     // a tie: to the even code above
  EXPECT_EQ(rounded(1.0f + 0x1.01p-11f), 1.0f + 0x1p-10f);  // above a tie
  EXPECT_EQ(rounded(0x1p-25f), 0.0f);                       // half the smallest: to even
  EXPECT_EQ(rounded(0x1.01p-25f), 0x1p-24f);
  EXPECT_EQ(rounded(65519.0f), 65504.0f);
  EXPECT_EQ(rounded(-65520.0f), -INFINITY);
  EXPECT_TRUE(std::isnan(rounded(NAN)));
}

TEST(E4M3, WritesBackEveryCodeAndRoundsToNearestEven) {
  for (int code = 0; code < 256; ++code) {
    if ((code & 0x7F) == 0x7F) continue;
    const auto byte = static_cast<uint8_t>(code);
    ASSERT_EQ(tensor::float_to_e4m3(tensor::e4m3_to_float(byte)), byte);
  }
  const auto rounded = [](float value) { return tensor::e4m3_to_float(tensor::float_to_e4m3(value)); };
  EXPECT_EQ(rounded(1.0f + 0x1p-4f), 1.0f);              // a tie: to the even code
  EXPECT_EQ(rounded(1.0f + 0x3p-4f), 1.0f + 0x2p-3f);    // a tie: to the even code above
  EXPECT_EQ(rounded(1.0f + 0x1.1p-4f), 1.0f + 0x1p-3f);  // above a tie
  EXPECT_EQ(rounded(0x1p-10f), 0.0f);                    // half the smallest: to even
  EXPECT_EQ(rounded(0x1.1p-10f), 0x1p-9f);
  EXPECT_EQ(rounded(447.0f), 448.0f);
  EXPECT_EQ(rounded(-1e9f), -448.0f);
  EXPECT_TRUE(std::isnan(rounded(NAN)));
  // Between any two neighbours, the nearer one.
  for (int code = 0; code < 0x7E; ++code) {
    const float a = tensor::e4m3_to_float(static_cast<uint8_t>(code));
    const float b = tensor::e4m3_to_float(static_cast<uint8_t>(code + 1));
    EXPECT_EQ(rounded(a + 0.49f * (b - a)), a) << code;
    EXPECT_EQ(rounded(a + 0.51f * (b - a)), b) << code;
  }
}

TEST(Fp8Block, EncodesRandomShapesWithinTheFormatsError) {
  base::Random random(2);
  for (int round = 0; round < 50; ++round) {
    const auto rows = static_cast<int64_t>(1 + random.below(40));
    const auto cols = static_cast<int64_t>(1 + random.below(40));
    const Fp8BlockShape block{static_cast<int64_t>(1 + random.below(20)),
                              static_cast<int64_t>(1 + random.below(20))};
    std::vector<float> values(static_cast<size_t>(rows * cols));
    for (auto& v : values) v = static_cast<float>(random.normal() * 0.02);
    if (round == 7) values[0] = NAN;
    const auto scale_count = fp8_block_count(rows, block.rows) * fp8_block_count(cols, block.cols);
    std::vector<float> scales(static_cast<size_t>(scale_count + 1), 12345.0f);
    std::vector<std::byte> bytes(values.size());
    fp8_block_from_float(values.data(), rows, cols, block, bytes.data(), scales.data());
    EXPECT_EQ(scales.back(), 12345.0f);
    std::vector<float> out(values.size());
    fp8_block_to_float(bytes.data(), rows, cols, scales.data(), block, out.data());
    if (round == 7) values[0] = 0;
    for (size_t i = 0; i < out.size(); ++i) {
      const float scale = scales[static_cast<size_t>(static_cast<int64_t>(i) / cols / block.rows *
                                                         fp8_block_count(cols, block.cols) +
                                                     static_cast<int64_t>(i) % cols / block.cols)];
      // Half a step of three mantissa bits, or of the smallest codes.
      ASSERT_NEAR(out[i], values[i], std::max(std::abs(values[i]) / 16, scale * 0x1p-10f) * 1.001f);
    }
    // What was read is written back.
    std::vector<std::byte> again(values.size());
    std::vector<float> scales_again(static_cast<size_t>(scale_count));
    fp8_block_from_float(out.data(), rows, cols, block, again.data(), scales_again.data());
    EXPECT_EQ(again, bytes);
  }
  std::vector<float> zero(6);
  std::vector<std::byte> bytes(6, std::byte{1});
  float scale = 0;
  fp8_block_from_float(zero.data(), 2, 3, {4, 4}, bytes.data(), &scale);
  EXPECT_EQ(bytes, std::vector<std::byte>(6));
  EXPECT_TRUE(std::isfinite(scale) && scale > 0);
}

TEST(KScales, PackAndUnpackEveryValue) {
  base::Random random(3);
  for (int round = 0; round < 1000; ++round) {
    KScales scales{};
    for (int g = 0; g < 8; ++g) {
      scales.scale[g] = static_cast<uint8_t>(random.below(64));
      scales.minimum[g] = static_cast<uint8_t>(random.below(64));
    }
    std::byte bytes[12];
    pack_k_scales(scales, bytes);
    const KScales back = unpack_k_scales(bytes);
    EXPECT_EQ(std::memcmp(&back, &scales, sizeof back), 0);
  }
}

TEST(Registry, EveryWeightTypeHasOneRow) {
  for (const auto& format : weight_formats()) {
    EXPECT_EQ(&weight_format(format.type), &format);
    EXPECT_EQ(find_weight_format(format.name), &format);
    if (format.dtype) {
      EXPECT_EQ(find_weight_format(*format.dtype), &format);
    }
    if (format.gguf_type) {
      EXPECT_EQ(find_gguf_format(*format.gguf_type), &format);
    }
    const std::vector<std::byte> zero(static_cast<size_t>(format.block_bytes));
    std::vector<float> values(static_cast<size_t>(format.block_elements), 1.0f);
    format.to_float(zero.data(), format.block_elements, values.data());
    for (const float value : values) EXPECT_EQ(value, 0.0f) << format.name;
  }
  for (const auto type : {tensor::DType::kI32, tensor::DType::kI64, tensor::DType::kU8}) {
    EXPECT_EQ(find_weight_format(type), nullptr);
  }
}

}  // namespace
}  // namespace hadal::quant
