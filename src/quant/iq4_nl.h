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

}  // namespace hadal::quant
