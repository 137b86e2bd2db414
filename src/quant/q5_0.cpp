#include "quant/q5_0.h"

#include "quant/block_bytes.h"
#include "quant/scale_search.h"

namespace hadal::quant {

namespace {
using Levels = IntegerLevels<-16, 15>;
}  // namespace

void q5_0_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ5_0Elements, bytes += kQ5_0Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    const uint32_t high = load_u32(bytes + 2);
    for (int j = 0; j < 16; ++j) {
      const int q = load_u8(bytes + 6 + j);
      y[j] = d * static_cast<float>(((q & 15) | static_cast<int>(high >> j & 1) << 4) - 16);
      y[j + 16] = d * static_cast<float>((q >> 4 | static_cast<int>(high >> (j + 16) & 1) << 4) - 16);
    }
  }
}

void q5_0_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ5_0Elements, bytes += kQ5_0Bytes) {
    const SearchBlock<32> block(values + i, importance != nullptr ? importance + i : nullptr);
    const float scale = fit_signed<Levels, 32>(block.x, block.w);
    const uint16_t d = finite_f16(scale * block.magnitude);
    const float held = tensor::f16_to_float(d);
    const float inverse = held != 0 ? block.magnitude / held : 0.0f;
    int code[32];
    for (int j = 0; j < 32; ++j) code[j] = static_cast<int>(Levels::nearest(block.x[j] * inverse)) + 16;
    store_u16(d, bytes);

    uint32_t high = 0;
    for (int j = 0; j < 32; ++j) high |= static_cast<uint32_t>(code[j] >> 4) << j;
    store_u32(high, bytes + 2);
    for (int j = 0; j < 16; ++j) store_u8((code[j] & 15) | (code[j + 16] & 15) << 4, bytes + 6 + j);
  }
}

}  // namespace hadal::quant
