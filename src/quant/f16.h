// IEEE half-precision weights, read exactly (subnormals and infinities included).
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

// `bytes` holds `count` little-endian values and need not be aligned.
void f16_to_float(const std::byte* bytes, int64_t count, float* out);

}  // namespace hadal::quant
