// FP32 weights: copied as they are.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

// `bytes` holds `count` little-endian values and need not be aligned.
void f32_to_float(const std::byte* bytes, int64_t count, float* out);
void f32_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance = nullptr);

}  // namespace hadal::quant
