#include "quant/iq4_xs.h"

#include "quant/block_bytes.h"
#include "quant/iq4_nl.h"
#include "quant/k_search.h"

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

void iq4_xs_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kIQ4_XSElements, bytes += kIQ4_XSBytes) {
    const SearchBlock<256> block(values + i, importance != nullptr ? importance + i : nullptr);
    const auto scales = SignedSearch<Iq4Nearest, 8, -32, 31>(block).run();
    const float d = tensor::f16_to_float(scales.d);
    store_u16(scales.d, bytes);

    std::fill_n(bytes + 2, kIQ4_XSBytes - 2, std::byte{0});
    int high = 0;
    for (int g = 0; g < 8; ++g) {
      const int s = scales.scale[g] + 32;
      bytes[4 + g / 2] |= static_cast<std::byte>((s & 15) << (4 * (g % 2)));
      high |= (s >> 4) << (2 * g);
      const float scale = d * static_cast<float>(scales.scale[g]);
      const float inverse = scale != 0 ? block.magnitude / scale : 0.0f;
      for (int j = 0; j < 32; ++j) {
        const int code = Iq4Nearest::code(block.x[32 * g + j] * inverse);
        bytes[8 + 16 * g + j % 16] |= static_cast<std::byte>(code << (j < 16 ? 0 : 4));
      }
    }
    store_u16(static_cast<uint16_t>(high), bytes + 2);
  }
}

}  // namespace hadal::quant
