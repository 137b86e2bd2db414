#include "tensor/dtype.h"

#include <bit>
#include <cmath>
#include <limits>

#include "base/error.h"

namespace hadal::tensor {

namespace {
struct Row {
  DType type;
  std::string_view name;
  size_t bytes;
};
constexpr Row kRows[] = {{DType::kF32, "F32", 4},        {DType::kF16, "F16", 2}, {DType::kBF16, "BF16", 2},
                         {DType::kF8E4M3, "F8_E4M3", 1}, {DType::kI64, "I64", 8}, {DType::kI32, "I32", 4},
                         {DType::kU8, "U8", 1}};

const Row& row(DType type) {
  for (const auto& r : kRows) {
    if (r.type == type) return r;
  }
  HADAL_CHECK(false);
  return kRows[0];
}
}  // namespace

size_t dtype_bytes(DType type) { return row(type).bytes; }
std::string_view dtype_name(DType type) { return row(type).name; }

bool parse_dtype(std::string_view name, DType& type) {
  for (const auto& r : kRows) {
    if (r.name == name) {
      type = r.type;
      return true;
    }
  }
  return false;
}

float bf16_to_float(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

uint16_t float_to_bf16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  if ((bits & 0x7FFFFFFFu) > 0x7F800000u) return static_cast<uint16_t>((bits >> 16) | 0x40u);
  return static_cast<uint16_t>((bits + 0x7FFFu + ((bits >> 16) & 1u)) >> 16);
}

float f16_to_float(uint16_t bits) {
  const int exponent = (bits >> 10) & 31;
  const int mantissa = bits & 1023;
  float magnitude = 0;
  if (exponent == 31)
    magnitude = mantissa ? std::numeric_limits<float>::quiet_NaN() : INFINITY;
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(mantissa), -24);
  else
    magnitude = std::ldexp(static_cast<float>(mantissa + 1024), exponent - 25);
  return (bits & 0x8000) ? -magnitude : magnitude;
}

float e4m3_to_float(uint8_t bits) {
  const int exponent = (bits >> 3) & 15;
  const int mantissa = bits & 7;
  float magnitude = 0;
  if (exponent == 15 && mantissa == 7)
    magnitude = std::numeric_limits<float>::quiet_NaN();
  else if (exponent == 0)
    magnitude = std::ldexp(static_cast<float>(mantissa), -9);
  else
    magnitude = std::ldexp(static_cast<float>(mantissa + 8), exponent - 10);
  return (bits & 0x80) ? -magnitude : magnitude;
}

}  // namespace hadal::tensor
