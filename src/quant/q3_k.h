// Q3_K of GGUF: 3.4375 bits per weight. A block of 256 values in 110 bytes, in 16 groups of 16 values:
//   [0] high[32]: bit 4 h + k of byte l is the third bit of value 128 h + 32 k + l
//   [32] q[64]: the two low bits, laid out as Q2_K's
//   [96] s[12]: 16 scales of 6 bits. The low four of scale g are in s[g % 8], low half for g < 8; the high
//   two
//        are bits 2 (g / 4), 2 (g / 4) + 1 of s[8 + g % 4]
//   [108] f16 d
//   value = (d * (scale - 32)) * (q - 4)
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ3_KElements = 256, kQ3_KBytes = 110;

// `count` values, whole blocks; `bytes` need not be aligned.
void q3_k_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void q3_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
