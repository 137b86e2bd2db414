// IQ4_XS of GGUF: 4.25 bits per weight, on IQ4_NL's levels. A block of 256 values in 136 bytes, in 8 groups
// of 32:
//   [0] f16 d   [2] uint16 high: bits 2 g, 2 g + 1 are the two high bits of the scale of group g
//   [4] low[4]: the four low bits, group g in byte g / 2, low half for an even g
//   [8] q[128]: 16 bytes for each group; value j in the low half of byte j, value j + 16 in the high half
//   value = (d * (scale - 32)) * kIq4Levels[q]
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kIQ4_XSElements = 256, kIQ4_XSBytes = 136;

// `count` values, whole blocks; `bytes` need not be aligned.
void iq4_xs_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void iq4_xs_from_float(const float* values, int64_t count, std::byte* bytes,
                       const float* importance = nullptr);

}  // namespace hadal::quant
