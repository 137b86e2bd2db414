#include "quant/q4_k.h"

#include "quant/block_bytes.h"
#include "quant/k_scales.h"

namespace hadal::quant {

void q4_k_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ4_KElements, bytes += kQ4_KBytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    const float dmin = load_f16(bytes + 2);
    const KScales s = unpack_k_scales(bytes + 4);
    for (int g = 0; g < 8; ++g) {
      const float scale = d * static_cast<float>(s.scale[g]);
      const float minimum = dmin * static_cast<float>(s.minimum[g]);
      const std::byte* q = bytes + 16 + 32 * (g / 2);
      const int shift = 4 * (g % 2);
      for (int l = 0; l < 32; ++l) {
        y[32 * g + l] = scale * static_cast<float>(load_u8(q + l) >> shift & 15) - minimum;
      }
    }
  }
}

}  // namespace hadal::quant
