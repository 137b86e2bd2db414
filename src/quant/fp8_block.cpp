#include "quant/fp8_block.h"

#include <algorithm>
#include <array>

#include "tensor/dtype.h"

namespace hadal::quant {

namespace {
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

}  // namespace hadal::quant
