// Q5_0 of GGUF: 5.5 bits per weight. A block of 32 values in 22 bytes:
//   [0] f16 d   [2] uint32 high: bit j is the fifth bit of value j
//   [6] q[16]: value j in the low half of q[j], value j + 16 in the high half
//   value = d * (q - 16)
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ5_0Elements = 32, kQ5_0Bytes = 22;

// `count` values, whole blocks; `bytes` need not be aligned.
void q5_0_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void q5_0_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
