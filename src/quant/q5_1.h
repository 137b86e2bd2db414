// Q5_1 of GGUF: 6 bits per weight. A block of 32 values in 24 bytes:
//   [0] f16 d   [2] f16 m   [4] uint32 high: bit j is the fifth bit of value j
//   [8] q[16]: value j in the low half of q[j], value j + 16 in the high half
//   value = d * q + m
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ5_1Elements = 32, kQ5_1Bytes = 24;

// `count` values, whole blocks; `bytes` need not be aligned.
void q5_1_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void q5_1_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
