// IEEE half-precision weights. Reading is exact (subnormals and infinities included); writing rounds to
// nearest even.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

// `bytes` holds `count` little-endian values and need not be aligned.
void f16_to_float(const std::byte* bytes, int64_t count, float* out);
void f16_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
