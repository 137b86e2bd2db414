// Q2_K of GGUF: 2.625 bits per weight. A block of 256 values in 84 bytes, in 16 groups of 16 values:
//   [0] sm[16]: scale of group g in the low half of sm[g], minimum in the high half
//   [16] q[64]: 32 bytes for each half of the block; value 32 k + l of a half (k = 0..3) is bits 2 k, 2 k + 1
//   of
//        byte l
//   [80] f16 d   [82] f16 dmin
//   value = (d * scale) * q - dmin * minimum
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ2_KElements = 256, kQ2_KBytes = 84;

// `count` values, whole blocks; `bytes` need not be aligned.
void q2_k_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void q2_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
