#include "quant/q5_0.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void q5_0_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ5_0Elements, bytes += kQ5_0Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    const uint32_t high = load_u32(bytes + 2);
    for (int j = 0; j < 16; ++j) {
      const int q = load_u8(bytes + 6 + j);
      y[j] = d * static_cast<float>(((q & 15) | static_cast<int>(high >> j & 1) << 4) - 16);
      y[j + 16] = d * static_cast<float>((q >> 4 | static_cast<int>(high >> (j + 16) & 1) << 4) - 16);
    }
  }
}

}  // namespace hadal::quant
