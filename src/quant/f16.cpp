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

}  // namespace hadal::quant
