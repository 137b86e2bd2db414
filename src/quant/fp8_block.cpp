#include "quant/fp8_block.h"

#include <algorithm>
#include <array>
#include <cmath>

#include "tensor/dtype.h"

namespace hadal::quant {

namespace {
constexpr float kE4m3Largest = 448;

// All 256 codes once: a load per weight instead of arithmetic on exponents.
const std::array<float, 256>& code_values() {
  static const std::array<float, 256> values = [] {
    std::array<float, 256> table{};
    for (int code = 0; code < 256; ++code) {
      table[static_cast<size_t>(code)] = tensor::e4m3_to_float(static_cast<uint8_t>(code));
    }
    return table;
  }();
  return values;
}
}  // namespace

void e4m3_to_float(const std::byte* bytes, int64_t count, float* out) {
  const auto& values = code_values();
  for (int64_t i = 0; i < count; ++i) out[i] = values[static_cast<uint8_t>(bytes[i])];
}

void fp8_block_to_float(const std::byte* bytes, int64_t rows, int64_t cols, const float* scale_inv,
                        Fp8BlockShape block, float* out) {
  const auto& values = code_values();
  const int64_t blocks_per_row = fp8_block_count(cols, block.cols);
  for (int64_t i = 0; i < rows; ++i) {
    const float* scales = scale_inv + (i / block.rows) * blocks_per_row;  // [blocks_per_row]
    for (int64_t b = 0; b < blocks_per_row; ++b) {
      const int64_t end = std::min(cols, (b + 1) * block.cols);
      for (int64_t j = b * block.cols; j < end; ++j) {
        out[i * cols + j] = values[static_cast<uint8_t>(bytes[i * cols + j])] * scales[b];
      }
    }
  }
}

namespace {
// One block, `across` columns from `values` and `down` rows of `cols`; returns its scale.
float encode_block(const float* values, int64_t down, int64_t across, int64_t cols, std::byte* bytes) {
  const auto finite = [](float v) { return std::isfinite(v) ? v : 0.0f; };
  float largest = 0;
  for (int64_t i = 0; i < down; ++i) {
    for (int64_t j = 0; j < across; ++j) largest = std::max(largest, std::abs(finite(values[i * cols + j])));
  }
  // Below this the quotients would lose FP32's precision: such a block is zero.
  const float scale = largest > 1e-30f ? largest / kE4m3Largest : 1.0f;
  for (int64_t i = 0; i < down; ++i) {
    for (int64_t j = 0; j < across; ++j) {
      bytes[i * cols + j] =
          static_cast<std::byte>(tensor::float_to_e4m3(finite(values[i * cols + j]) / scale));
    }
  }
  return scale;
}
}  // namespace

void fp8_block_from_float(const float* values, int64_t rows, int64_t cols, Fp8BlockShape block,
                          std::byte* bytes, float* scale_inv) {
  for (int64_t top = 0; top < rows; top += block.rows) {
    for (int64_t left = 0; left < cols; left += block.cols) {
      const int64_t at = top * cols + left;
      *scale_inv++ = encode_block(values + at, std::min(block.rows, rows - top),
                                  std::min(block.cols, cols - left), cols, bytes + at);
    }
  }
}

}  // namespace hadal::quant
