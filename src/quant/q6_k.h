// Q6_K of GGUF: 6.5625 bits per weight. A block of 256 values in 210 bytes, in 16 groups of 16 values:
//   [0] low[128]: 64 bytes for each half of the block; the four low bits of value 32 k + l of a half are in
//   byte
//       32 (k % 2) + l, low half of the byte for k < 2
//   [128] high[64]: 32 bytes for each half; bits 2 k, 2 k + 1 of byte l are the two high bits of value 32 k +
//   l [192] int8 scale[16]   [208] f16 d value = (d * scale) * (q - 32)
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ6_KElements = 256, kQ6_KBytes = 210;

// `count` values, whole blocks; `bytes` need not be aligned.
void q6_k_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void q6_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
