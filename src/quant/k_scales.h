// The 12 bytes that Q4_K and Q5_K blocks keep eight 6-bit scales and eight 6-bit minima in:
//   s[g] = scale g | high two bits of scale g + 4 << 6        g = 0..3
//   s[4 + g] = minimum g | high two bits of minimum g + 4 << 6
//   s[8 + g] = low four bits of scale g + 4 | low four bits of minimum g + 4 << 4
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

struct KScales {
  uint8_t scale[8];
  uint8_t minimum[8];
};

KScales unpack_k_scales(const std::byte* s);
void pack_k_scales(const KScales& scales, std::byte* s);

}  // namespace hadal::quant
