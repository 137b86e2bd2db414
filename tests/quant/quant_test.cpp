#include <gtest/gtest.h>

#include <bit>
#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/fp8_block.h"
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
