#include "quant/q4_0.h"

#include "quant/block_bytes.h"
#include "quant/scale_search.h"

namespace hadal::quant {

namespace {
using Levels = IntegerLevels<-8, 7>;
}  // namespace

void q4_0_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ4_0Elements, bytes += kQ4_0Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    for (int j = 0; j < 16; ++j) {
      const int q = load_u8(bytes + 2 + j);
      y[j] = d * static_cast<float>((q & 15) - 8);
      y[j + 16] = d * static_cast<float>((q >> 4) - 8);
    }
  }
}

void q4_0_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ4_0Elements, bytes += kQ4_0Bytes) {
    const SearchBlock<32> block(values + i, importance != nullptr ? importance + i : nullptr);
    const float scale = fit_signed<Levels, 32>(block.x, block.w);
    const uint16_t d = finite_f16(scale * block.magnitude);
    const float held = tensor::f16_to_float(d);
    const float inverse = held != 0 ? block.magnitude / held : 0.0f;
    int code[32];
    for (int j = 0; j < 32; ++j) code[j] = static_cast<int>(Levels::nearest(block.x[j] * inverse)) + 8;
    store_u16(d, bytes);

    for (int j = 0; j < 16; ++j) store_u8(code[j] | code[j + 16] << 4, bytes + 2 + j);
  }
}

}  // namespace hadal::quant
