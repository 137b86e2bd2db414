// Q4_K of GGUF: 4.5 bits per weight. A block of 256 values in 144 bytes, in 8 groups of 32 values:
//   [0] f16 d   [2] f16 dmin   [4] 12 bytes of 6-bit scales and minima: k_scales.h
//   [16] q[128]: 32 bytes for each pair of groups; value l of the first in the low half of byte l, of the
//   second
//        in the high half
//   value = (d * scale) * q - dmin * minimum
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ4_KElements = 256, kQ4_KBytes = 144;

// `count` values, whole blocks; `bytes` need not be aligned.
void q4_k_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void q4_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
