#include "quant/iq4_xs.h"

#include "quant/block_bytes.h"
#include "quant/iq4_nl.h"

namespace hadal::quant {

void iq4_xs_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kIQ4_XSElements, bytes += kIQ4_XSBytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    const int high = load_u16(bytes + 2);
    for (int g = 0; g < 8; ++g) {
      const int low = load_u8(bytes + 4 + g / 2) >> (4 * (g % 2)) & 15;
      const float scale = d * static_cast<float>((low | (high >> (2 * g) & 3) << 4) - 32);
      const std::byte* q = bytes + 8 + 16 * g;
      for (int j = 0; j < 16; ++j) {
        y[32 * g + j] = scale * static_cast<float>(kIq4Levels[load_u8(q + j) & 15]);
        y[32 * g + j + 16] = scale * static_cast<float>(kIq4Levels[load_u8(q + j) >> 4]);
      }
    }
  }
}

}  // namespace hadal::quant
