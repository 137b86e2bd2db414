#include "quant/q2_k.h"

#include "quant/block_bytes.h"
#include "quant/k_search.h"

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

void q2_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ2_KElements, bytes += kQ2_KBytes) {
    const SearchBlock<256> block(values + i, importance != nullptr ? importance + i : nullptr);
    const auto scales = block.magnitude > 0 ? LineSearch<16, 3, 15>(block).run() : LineScales<16>{};
    std::fill_n(bytes, 80, std::byte{0});
    for (int g = 0; g < 16; ++g) {
      store_u8(scales.scale[g] | scales.minimum[g] << 4, bytes + g);
      std::byte* q = bytes + 16 + 32 * (g / 8) + 16 * (g % 2);
      for (int l = 0; l < 16; ++l) {
        q[l] |= static_cast<std::byte>(line_code(scales, g, values[i + 16 * g + l], 3) << (2 * (g % 8 / 2)));
      }
    }
    store_u16(scales.d, bytes + 80);
    store_u16(scales.dmin, bytes + 82);
  }
}

}  // namespace hadal::quant
