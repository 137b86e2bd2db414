#include "quant/q5_1.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void q5_1_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ5_1Elements, bytes += kQ5_1Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    const float m = load_f16(bytes + 2);
    const uint32_t high = load_u32(bytes + 4);
    for (int j = 0; j < 16; ++j) {
      const int q = load_u8(bytes + 8 + j);
      y[j] = d * static_cast<float>((q & 15) | static_cast<int>(high >> j & 1) << 4) + m;
      y[j + 16] = d * static_cast<float>(q >> 4 | static_cast<int>(high >> (j + 16) & 1) << 4) + m;
    }
  }
}

}  // namespace hadal::quant
