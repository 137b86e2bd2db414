// Q5_K of GGUF: 5.5 bits per weight. A block of 256 values in 176 bytes, in 8 groups of 32 values:
//   [0] f16 d   [2] f16 dmin   [4] 12 bytes of 6-bit scales and minima: k_scales.h
//   [16] high[32]: bit g of byte l is the fifth bit of value l of group g
//   [48] q[128]: the four low bits, laid out as Q4_K's
//   value = (d * scale) * q - dmin * minimum
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ5_KElements = 256, kQ5_KBytes = 176;

// `count` values, whole blocks; `bytes` need not be aligned.
void q5_k_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void q5_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
