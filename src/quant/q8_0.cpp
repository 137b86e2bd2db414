#include "quant/q8_0.h"

#include "quant/block_bytes.h"

namespace hadal::quant {

void q8_0_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ8_0Elements, bytes += kQ8_0Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(static_cast<int8_t>(bytes[2 + j]));
  }
}

}  // namespace hadal::quant
