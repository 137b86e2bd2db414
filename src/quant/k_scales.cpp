#include "quant/k_scales.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

KScales unpack_k_scales(const std::byte* s) {
  KScales out;
  for (int g = 0; g < 4; ++g) {
    const int first = load_u8(s + g);
    const int second = load_u8(s + 4 + g);
    const int third = load_u8(s + 8 + g);
    out.scale[g] = static_cast<uint8_t>(first & 63);
    out.minimum[g] = static_cast<uint8_t>(second & 63);
    out.scale[g + 4] = static_cast<uint8_t>((third & 15) | (first >> 6) << 4);
    out.minimum[g + 4] = static_cast<uint8_t>(third >> 4 | (second >> 6) << 4);
  }
  return out;
}

void pack_k_scales(const KScales& scales, std::byte* s) {
  for (int g = 0; g < 4; ++g) {
    store_u8(scales.scale[g] | (scales.scale[g + 4] >> 4) << 6, s + g);
    store_u8(scales.minimum[g] | (scales.minimum[g + 4] >> 4) << 6, s + 4 + g);
    store_u8((scales.scale[g + 4] & 15) | (scales.minimum[g + 4] & 15) << 4, s + 8 + g);
  }
}

}  // namespace hadal::quant
