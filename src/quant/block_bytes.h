// Fields of a quantized block: little-endian, at any address.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace hadal::quant {

inline uint8_t load_u8(const std::byte* p) { return static_cast<uint8_t>(*p); }

inline uint16_t load_u16(const std::byte* p) {
  return static_cast<uint16_t>(load_u8(p) | load_u8(p + 1) << 8);
}

inline uint32_t load_u32(const std::byte* p) {
  return load_u16(p) | static_cast<uint32_t>(load_u16(p + 2)) << 16;
}

inline float load_f16(const std::byte* p) { return tensor::f16_to_float(load_u16(p)); }

inline void store_u8(int value, std::byte* p) { *p = static_cast<std::byte>(value & 255); }

inline void store_u16(uint16_t value, std::byte* p) {
  store_u8(value, p);
  store_u8(value >> 8, p + 1);
}

inline void store_u32(uint32_t value, std::byte* p) {
  store_u16(static_cast<uint16_t>(value), p);
  store_u16(static_cast<uint16_t>(value >> 16), p + 2);
}

}  // namespace hadal::quant
