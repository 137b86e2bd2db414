#include "quant/q5_1.h"

#include "quant/block_bytes.h"
#include "quant/scale_search.h"

namespace hadal::quant {

namespace {
constexpr float kHigh = 31;
}  // namespace

void q5_1_to_float(const std::byte* bytes, int64_t count, float* out) {
  for (int64_t i = 0; i < count; i += kQ5_1Elements, bytes += kQ5_1Bytes) {
    float* y = out + i;
    const float d = load_f16(bytes);
    const float m = load_f16(bytes + 2);
    const uint32_t high = load_u32(bytes + 4);
    for (int j = 0; j < 16; ++j) {
      const int q = load_u8(bytes + 8 + j);
      y[j] = d * static_cast<float>((q & 15) | static_cast<int>(high >> j & 1) << 4) + m;
      y[j + 16] = d * static_cast<float>(q >> 4 | static_cast<int>(high >> (j + 16) & 1) << 4) + m;
    }
  }
}

void q5_1_from_float(const float* values, int64_t count, std::byte* bytes, const float* importance) {
  for (int64_t i = 0; i < count; i += kQ5_1Elements, bytes += kQ5_1Bytes) {
    const SearchBlock<32> block(values + i, importance != nullptr ? importance + i : nullptr);
    const Line line = fit_line<32>(block.x, block.w, kHigh, /*negative_minimum=*/false);
    const uint16_t d = finite_f16(line.scale * block.magnitude);
    const uint16_t m = finite_f16(line.minimum * block.magnitude);
    const float held = tensor::f16_to_float(d);
    const float inverse = held > 0 ? block.magnitude / held : 0.0f;
    const float minimum = block.magnitude > 0 ? tensor::f16_to_float(m) / block.magnitude : 0.0f;
    int code[32];
    for (int j = 0; j < 32; ++j)
      code[j] = static_cast<int>(nearest_code((block.x[j] - minimum) * inverse, kHigh));
    store_u16(d, bytes);
    store_u16(m, bytes + 2);

    uint32_t high = 0;
    for (int j = 0; j < 32; ++j) high |= static_cast<uint32_t>(code[j] >> 4) << j;
    store_u32(high, bytes + 4);
    for (int j = 0; j < 16; ++j) store_u8((code[j] & 15) | (code[j + 16] & 15) << 4, bytes + 8 + j);
  }
}

}  // namespace hadal::quant
