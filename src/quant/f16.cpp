#include "quant/f16.h"

#include <cstring>

#include "tensor/dtype.h"

namespace hadal::quant {

void f16_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; ++i) {
    uint16_t bits = 0;
    std::memcpy(&bits, bytes + 2 * i, 2);
    out[i] = tensor::f16_to_float(bits);
  }
}

void f16_from_float(const float* values, int64_t count, std::byte* bytes, const float* /*importance*/) {
  for (int64_t i = 0; i < count; ++i) {
    const uint16_t bits = tensor::float_to_f16(values[i]);
    std::memcpy(bytes + 2 * i, &bits, 2);
  }
}

}  // namespace hadal::quant
