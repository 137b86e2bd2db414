#include "quant/q5_k.h"

#include "quant/block_bytes.h"
#include "quant/k_scales.h"
#include "quant/k_search.h"

namespace hadal::quant {

void q5_k_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ5_KElements, bytes += kQ5_KBytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    const float dmin = load_f16(bytes + 2);
    const KScales s = unpack_k_scales(bytes + 4);
    for (int g = 0; g < 8; ++g) {
      const float scale = d * static_cast<float>(s.scale[g]);
      const float minimum = dmin * static_cast<float>(s.minimum[g]);
      const std::byte* high = bytes + 16;
      const std::byte* q = bytes + 48 + 32 * (g / 2);
      const int shift = 4 * (g % 2);
      for (int l = 0; l < 32; ++l) {
        const int code = (load_u8(q + l) >> shift & 15) | (load_u8(high + l) >> g & 1) << 4;
        y[32 * g + l] = scale * static_cast<float>(code) - minimum;
      }
    }
  }
}

void q5_k_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ5_KElements, bytes += kQ5_KBytes) {
    const SearchBlock<256> block(values + i, importance != nullptr ? importance + i : nullptr);
    const auto scales = block.magnitude > 0 ? LineSearch<8, 31, 63>(block).run() : LineScales<8>{};
    store_u16(scales.d, bytes);
    store_u16(scales.dmin, bytes + 2);
    KScales packed;
    std::copy_n(scales.scale, 8, packed.scale);
    std::copy_n(scales.minimum, 8, packed.minimum);
    pack_k_scales(packed, bytes + 4);
    std::fill_n(bytes + 16, 160, std::byte{0});
    for (int g = 0; g < 8; ++g) {
      std::byte* q = bytes + 48 + 32 * (g / 2);
      for (int l = 0; l < 32; ++l) {
        const int code = line_code(scales, g, values[i + 32 * g + l], 31);
        q[l] |= static_cast<std::byte>((code & 15) << (4 * (g % 2)));
        bytes[16 + l] |= static_cast<std::byte>((code >> 4) << g);
      }
    }
  }
}

}  // namespace hadal::quant
