#include "quant/f32.h"

#include <cstring>

namespace hadal::quant {

void f32_to_float(const std::byte* bytes, int64_t count, float* out) {
  if (count > 0) std::memcpy(out, bytes, static_cast<size_t>(count) * sizeof(float));
}

void f32_from_float(const float* values, int64_t count, std::byte* bytes, const float* /*importance*/) {
  if (count > 0) std::memcpy(bytes, values, static_cast<size_t>(count) * sizeof(float));
}

}  // namespace hadal::quant
