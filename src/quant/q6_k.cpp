#include "quant/q6_k.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void q6_k_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ6_KElements, bytes += kQ6_KBytes) {
    float* y = out + i;
    const float d = load_f16(bytes + 208);
    for (int g = 0; g < 16; ++g) {
      const float scale = d * static_cast<float>(static_cast<int8_t>(bytes[192 + g]));
      const int half = g / 8;
      const int k = g % 8 / 2;
      const std::byte* low = bytes + 64 * half + 32 * (k % 2) + 16 * (g % 2);
      const std::byte* high = bytes + 128 + 32 * half + 16 * (g % 2);
      for (int l = 0; l < 16; ++l) {
        const int code = (load_u8(low + l) >> (k < 2 ? 0 : 4) & 15) | (load_u8(high + l) >> (2 * k) & 3) << 4;
        y[16 * g + l] = scale * static_cast<float>(code - 32);
      }
    }
  }
}

}  // namespace hadal::quant
