#include "quant/q6_k.h"

#include "quant/block_bytes.h"
#include "quant/k_search.h"

namespace hadal::quant {

namespace {
using Levels = IntegerLevels<-32, 31>;
}  // namespace

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

void q6_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ6_KElements, bytes += kQ6_KBytes) {
    const SearchBlock<256> block(values + i, importance != nullptr ? importance + i : nullptr);
    const auto scales = SignedSearch<Levels, 16, -128, 127>(block).run();
    const float d = tensor::f16_to_float(scales.d);
    store_u16(scales.d, bytes + 208);

    std::fill_n(bytes, 192, std::byte{0});
    for (int g = 0; g < 16; ++g) {
      store_u8(scales.scale[g], bytes + 192 + g);
      const float scale = d * static_cast<float>(scales.scale[g]);
      const float inverse = scale != 0 ? block.magnitude / scale : 0.0f;
      const int half = g / 8;
      const int k = g % 8 / 2;
      std::byte* low = bytes + 64 * half + 32 * (k % 2) + 16 * (g % 2);
      std::byte* high = bytes + 128 + 32 * half + 16 * (g % 2);
      for (int l = 0; l < 16; ++l) {
        const int code = static_cast<int>(Levels::nearest(block.x[16 * g + l] * inverse)) + 32;
        low[l] |= static_cast<std::byte>((code & 15) << (k < 2 ? 0 : 4));
        high[l] |= static_cast<std::byte>((code >> 4) << (2 * k));
      }
    }
  }
}

}  // namespace hadal::quant
