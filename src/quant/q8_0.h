// Q8_0 of GGUF: 8.5 bits per weight. A block of 32 values in 34 bytes:
//   [0] f16 d   [2] int8 q[32]          value j = d * q[j]
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kQ8_0Elements = 32, kQ8_0Bytes = 34;

// `count` values, whole blocks; `bytes` need not be aligned.
void q8_0_to_float(const std::byte* bytes, int64_t count, float* out);
// d is the largest magnitude / 127; the rest is rounded to nearest. `importance` has no use here.
// Values that are not finite count as zero.
void q8_0_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
