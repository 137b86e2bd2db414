// Random weight matrices in any stored format, for tests and benchmarks of the products that read them.
#pragma once

#include <cstring>
#include <vector>

#include "base/random.h"
#include "quant/matrix.h"
#include "tensor/dtype.h"

namespace hadal::kernels {

// Where a block holds FP16 numbers: random bytes there would be infinities and NaN.
inline std::vector<int64_t> half_fields(quant::WeightType type) {
  using quant::WeightType;
  switch (type) {
    case WeightType::kQ8_0:
    case WeightType::kQ4_0:
    case WeightType::kQ5_0:
    case WeightType::kIQ4_NL:
    case WeightType::kIQ4_XS:
      return {0};
    case WeightType::kQ4_1:
    case WeightType::kQ5_1:
    case WeightType::kQ4_K:
    case WeightType::kQ5_K:
      return {0, 2};
    case WeightType::kQ2_K:
      return {80, 82};
    case WeightType::kQ3_K:
      return {108};
    case WeightType::kQ6_K:
      return {208};
    default:
      return {};
  }
}

// Owns the bytes, at an odd address and exactly as long as the matrix: a sanitizer sees any read past it.
struct RandomWeights {
  std::vector<std::byte> bytes;
  std::vector<float> scales;
  quant::QuantMatrix matrix;

  RandomWeights(base::Random& random, const quant::WeightFormat& format, int64_t rows, int64_t cols) {
    using quant::WeightType;
    const int64_t size = rows * format.bytes(cols);
    bytes.resize(static_cast<size_t>(size) + 1);
    std::byte* data = bytes.data() + 1;
    const auto put = [&](int64_t at, uint64_t value, size_t count) { std::memcpy(data + at, &value, count); };
    switch (format.type) {
      case WeightType::kF32:
        for (int64_t i = 0; i < rows * cols; ++i) {
          const auto value = static_cast<float>(random.normal());
          std::memcpy(data + 4 * i, &value, 4);
        }
        break;
      case WeightType::kF16:
      case WeightType::kBF16:
        for (int64_t i = 0; i < rows * cols; ++i) {
          const auto value = static_cast<float>(random.normal());
          put(2 * i,
              format.type == WeightType::kF16 ? tensor::float_to_f16(value) : tensor::float_to_bf16(value),
              2);
        }
        break;
      case WeightType::kFp8Block: {
        for (int64_t i = 0; i < size; ++i) put(i, random.below(127) | (random.below(2) << 7), 1);  // no NaN
        break;
      }
      default:
        for (int64_t i = 0; i < size; ++i) put(i, random.below(256), 1);
        for (int64_t block = 0; block < size; block += format.block_bytes) {
          for (const int64_t field : half_fields(format.type)) {
            put(block + field, tensor::float_to_f16(static_cast<float>(random.normal() * 0.02)), 2);
          }
        }
    }
    matrix = {&format, data, rows, cols};
    if (!format.block_scaled) return;
    matrix.block = {static_cast<int64_t>(3 + random.below(140)), static_cast<int64_t>(5 + random.below(140))};
    matrix.first_row = static_cast<int64_t>(random.below(200));
    matrix.scale_cols = quant::fp8_block_count(cols, matrix.block.cols);
    scales.resize(static_cast<size_t>(matrix.scale_cols *
                                      quant::fp8_block_count(matrix.first_row + rows, matrix.block.rows)));
    for (auto& s : scales) s = static_cast<float>(random.normal());
    matrix.scale_inv = scales.data();
  }
  RandomWeights(const RandomWeights&) = delete;
  RandomWeights& operator=(const RandomWeights&) = delete;
};

}  // namespace hadal::kernels
