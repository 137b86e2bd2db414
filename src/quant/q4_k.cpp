#include "quant/q4_k.h"

#include "quant/block_bytes.h"
#include "quant/k_scales.h"
#include "quant/k_search.h"

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

void q4_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ4_KElements, bytes += kQ4_KBytes) {
    const SearchBlock<256> block(values + i, importance != nullptr ? importance + i : nullptr);
    const auto scales = block.magnitude > 0 ? LineSearch<8, 15, 63>(block).run() : LineScales<8>{};
    store_u16(scales.d, bytes);
    store_u16(scales.dmin, bytes + 2);
    KScales packed;
    std::copy_n(scales.scale, 8, packed.scale);
    std::copy_n(scales.minimum, 8, packed.minimum);
    pack_k_scales(packed, bytes + 4);
    std::fill_n(bytes + 16, 128, std::byte{0});
    for (int g = 0; g < 8; ++g) {
      std::byte* q = bytes + 16 + 32 * (g / 2);
      for (int l = 0; l < 32; ++l) {
        const int code = line_code(scales, g, values[i + 32 * g + l], 15);
        q[l] |= static_cast<std::byte>((code & 15) << (4 * (g % 2)));
      }
    }
  }
}

}  // namespace hadal::quant
