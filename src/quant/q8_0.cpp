#include "quant/q8_0.h"

#include "quant/block_bytes.h"
#include "quant/scale_search.h"

namespace hadal::quant {

void q8_0_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ8_0Elements, bytes += kQ8_0Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    for (int j = 0; j < 32; ++j) y[j] = d * static_cast<float>(static_cast<int8_t>(bytes[2 + j]));
  }
}

void q8_0_from_float(const float* values, int64_t count, std::byte* bytes, const float* /*importance*/) {
  for (int64_t i = 0; i < count; i += kQ8_0Elements, bytes += kQ8_0Bytes) {
    float largest = 0;
    for (int j = 0; j < 32; ++j) {
      if (std::isfinite(values[i + j])) largest = std::max(largest, std::abs(values[i + j]));
    }
    const uint16_t d = finite_f16(largest / 127.0f);
    const float held = tensor::f16_to_float(d);
    store_u16(d, bytes);
    for (int j = 0; j < 32; ++j) {
      const float v = held > 0 && std::isfinite(values[i + j]) ? values[i + j] / held : 0.0f;
      store_u8(static_cast<int>(IntegerLevels<-127, 127>::nearest(v)), bytes + 2 + j);
    }
  }
}

}  // namespace hadal::quant
