// BF16 weights: the upper half of an FP32. Reading is exact; writing rounds to nearest even.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

// `bytes` holds `count` little-endian values and need not be aligned; `out` has room for `count`.
void bf16_to_float(const std::byte* bytes, int64_t count, float* out);
void bf16_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
