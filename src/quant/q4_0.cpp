#include "quant/q4_0.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void q4_0_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ4_0Elements, bytes += kQ4_0Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    for (int j = 0; j < 16; ++j) {
      const int q = load_u8(bytes + 2 + j);
      y[j] = d * static_cast<float>((q & 15) - 8);
      y[j + 16] = d * static_cast<float>((q >> 4) - 8);
    }
  }
}

}  // namespace hadal::quant
