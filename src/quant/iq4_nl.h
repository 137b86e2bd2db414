// IQ4_NL of GGUF: 4.5 bits per weight, on levels that lie closer together near zero. A block of 32 values in
// 18 bytes:
//   [0] f16 d   [2] q[16]: value j in the low half of q[j], value j + 16 in the high half
//   value = d * kIq4Levels[q]
// Source: ggml's block layout, as its files have it.
#pragma once

#include <cstddef>
#include <cstdint>

namespace hadal::quant {

inline constexpr int64_t kIQ4_NLElements = 32, kIQ4_NLBytes = 18;

// The 16 levels, ascending; IQ4_XS has the same.
inline constexpr int8_t kIq4Levels[16] = {-127, -104, -83, -65, -49, -35, -22, -10,
                                          1,    13,   25,  38,  53,  69,  89,  113};

// `count` values, whole blocks; `bytes` need not be aligned.
void iq4_nl_to_float(const std::byte* bytes, int64_t count, float* out);
// The nearest that a search over scales finds, by squared error weighted with `importance` (> 0; null:
// equal). Values that are not finite count as zero.
void iq4_nl_from_float(const float* values, int64_t count, std::byte* bytes,
                       const float* importance = nullptr);

// The search's view of them: the nearest level to a value in the levels' own units.
struct Iq4Nearest {
  static constexpr float kLargest = 127;
  template <typename V>
  static V nearest(V v) {
    V level = V{} + static_cast<float>(kIq4Levels[0]);
    for (int i = 1; i < 16; ++i) {
      const float middle = 0.5f * static_cast<float>(kIq4Levels[i - 1] + kIq4Levels[i]);
      level += v > middle ? V{} + static_cast<float>(kIq4Levels[i] - kIq4Levels[i - 1]) : V{};
    }
    return level;
  }
  static int code(float v) {
    int code = 0;
    while (code < 15 && v > 0.5f * static_cast<float>(kIq4Levels[code] + kIq4Levels[code + 1])) ++code;
    return code;
  }
};

}  // namespace hadal::quant
