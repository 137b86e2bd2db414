#include "quant/q3_k.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void q3_k_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ3_KElements, bytes += kQ3_KBytes) {
    float* y = out + i;
    const float d = load_f16(bytes + 108);
    for (int g = 0; g < 16; ++g) {
      const int low = load_u8(bytes + 96 + g % 8) >> (g < 8 ? 0 : 4) & 15;
      const int high = load_u8(bytes + 104 + g % 4) >> (2 * (g / 4)) & 3;
      const float scale = d * static_cast<float>((low | high << 4) - 32);
      const std::byte* third = bytes + 16 * (g % 2);
      const std::byte* q = bytes + 32 + 32 * (g / 8) + 16 * (g % 2);
      const int shift = 2 * (g % 8 / 2);
      for (int l = 0; l < 16; ++l) {
        const int two = load_u8(q + l) >> shift & 3;
        const int one = load_u8(third + l) >> (g / 2) & 1;
        y[16 * g + l] = scale * static_cast<float>((two | one << 2) - 4);
      }
    }
  }
}

}  // namespace hadal::quant
