// DeepSeek-V3's weight format: E4M3 values [rows, cols] with one FP32 scale per block of block_rows x
// block_cols (128 x 128 in the released checkpoints), blocks at the lower and right edges being ragged:
//   weight[i][j] = e4m3(bytes[i][j]) * scale_inv[i / block_rows][j / block_cols]
// Source: DeepSeek-V3 repository, inference/kernel.py (weight_dequant); report section 3.3.2.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

struct Fp8BlockShape {
  int64_t rows = 128;
  int64_t cols = 128;
};

// Blocks along one side: ceil(size / block).
constexpr int64_t fp8_block_count(int64_t size, int64_t block) { return (size + block - 1) / block; }

// The 8-bit values without their scales; 0x7F and 0xFF become NaN.
void e4m3_to_float(const std::byte* bytes, int64_t count, float* out);

// values: rows x cols bytes; scale_inv: [ceil(rows / block.rows), ceil(cols / block.cols)]; out: [rows,
// cols].
void fp8_block_to_float(const std::byte* values, int64_t rows, int64_t cols, const float* scale_inv,
                        Fp8BlockShape block, float* out);

// The inverse: each block's scale puts its largest magnitude on E4M3's largest, 448; values are rounded to
// nearest even. Values that are not finite count as zero.
void fp8_block_from_float(const float* values, int64_t rows, int64_t cols, Fp8BlockShape block,
                          std::byte* bytes, float* scale_inv);

}  // namespace hadal::quant
