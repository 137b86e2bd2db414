#include "quant/q2_k.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void q2_k_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ2_KElements, bytes += kQ2_KBytes) {
    float* y = out + i;
    const float d = load_f16(bytes + 80);
    const float dmin = load_f16(bytes + 82);
    for (int g = 0; g < 16; ++g) {
      const int sm = load_u8(bytes + g);
      const float scale = d * static_cast<float>(sm & 15);
      const float minimum = dmin * static_cast<float>(sm >> 4);
      const std::byte* q = bytes + 16 + 32 * (g / 8) + 16 * (g % 2);
      const int shift = 2 * (g % 8 / 2);
      for (int l = 0; l < 16; ++l) {
        y[16 * g + l] = scale * static_cast<float>(load_u8(q + l) >> shift & 3) - minimum;
      }
    }
  }
}

}  // namespace hadal::quant
