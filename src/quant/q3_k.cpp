#include "quant/q3_k.h"

#include "quant/block_bytes.h"
#include "quant/k_search.h"

namespace hadal::quant {

namespace {
using Levels = IntegerLevels<-4, 3>;
}  // namespace

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

void q3_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ3_KElements, bytes += kQ3_KBytes) {
    const SearchBlock<256> block(values + i, importance != nullptr ? importance + i : nullptr);
    const auto scales = SignedSearch<Levels, 16, -32, 31>(block).run();
    const float d = tensor::f16_to_float(scales.d);
    store_u16(scales.d, bytes + 108);

    std::fill_n(bytes, 108, std::byte{0});
    for (int g = 0; g < 16; ++g) {
      const int s = scales.scale[g] + 32;
      bytes[96 + g % 8] |= static_cast<std::byte>((s & 15) << (g < 8 ? 0 : 4));
      bytes[104 + g % 4] |= static_cast<std::byte>((s >> 4) << (2 * (g / 4)));
      const float scale = d * static_cast<float>(scales.scale[g]);
      const float inverse = scale != 0 ? block.magnitude / scale : 0.0f;
      std::byte* third = bytes + 16 * (g % 2);
      std::byte* q = bytes + 32 + 32 * (g / 8) + 16 * (g % 2);
      for (int l = 0; l < 16; ++l) {
        const int code = static_cast<int>(Levels::nearest(block.x[16 * g + l] * inverse)) + 4;
        q[l] |= static_cast<std::byte>((code & 3) << (2 * (g % 8 / 2)));
        third[l] |= static_cast<std::byte>((code >> 2) << (g / 2));
      }
    }
  }
}

}  // namespace hadal::quant
