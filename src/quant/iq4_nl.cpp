#include "quant/iq4_nl.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void iq4_nl_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kIQ4_NLElements, bytes += kIQ4_NLBytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    for (int j = 0; j < 16; ++j) {
      const int q = load_u8(bytes + 2 + j);
      y[j] = d * static_cast<float>(kIq4Levels[q & 15]);
      y[j + 16] = d * static_cast<float>(kIq4Levels[q >> 4]);
    }
  }
}

}  // namespace hadal::quant
