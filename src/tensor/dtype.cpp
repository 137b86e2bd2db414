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
constexpr Row kRows[] = {{DType::kF32, "F32", 4},        {DType::kF16, "F16", 2},
                         {DType::kBF16, "BF16", 2},      {DType::kF8E4M3, "F8_E4M3", 1},
                         {DType::kF8E8M0, "F8_E8M0", 1}, {DType::kI64, "I64", 8},
                         {DType::kI32, "I32", 4},        {DType::kU8, "U8", 1}};

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

float e8m0_to_float(uint8_t bits) {
  if (bits == 0xFF) return std::numeric_limits<float>::quiet_NaN();
  // 2^-127 is subnormal: its exponent field is 0.
  return std::bit_cast<float>(bits == 0 ? 0x00400000u : static_cast<uint32_t>(bits) << 23);
}

// Half precision is FP32 with a shorter exponent and mantissa: moved into place, the exponent's bias is a
// factor of 2^112, exact for subnormals too.
float f16_to_float(uint16_t bits) {
  const uint32_t sign = static_cast<uint32_t>(bits & 0x8000u) << 16;
  const uint32_t magnitude = bits & 0x7FFFu;
  if (magnitude >= 0x7C00u) return std::bit_cast<float>(sign | 0x7F800000u | magnitude << 13);
  const float value = std::bit_cast<float>(magnitude << 13) * 0x1p112f;
  return std::bit_cast<float>(std::bit_cast<uint32_t>(value) | sign);
}

uint16_t float_to_f16(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 16 & 0x8000u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint16_t>(sign | 0x7E00u);
  if (magnitude >= 0x477FF000u) return static_cast<uint16_t>(sign | 0x7C00u);  // from 65520 on
  if (magnitude < 0x38800000u) {  // below 2^-14: steps of 2^-24, the steps of FP32 at 0.5
    const float moved = std::bit_cast<float>(magnitude) + 0.5f;
    return static_cast<uint16_t>(sign | (std::bit_cast<uint32_t>(moved) - 0x3F000000u));
  }
  const uint32_t rounded = magnitude + 0xFFFu + (magnitude >> 13 & 1u) - (112u << 23);
  return static_cast<uint16_t>(sign | rounded >> 13);
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

uint8_t float_to_e4m3(float value) {
  const uint32_t bits = std::bit_cast<uint32_t>(value);
  const uint32_t sign = bits >> 24 & 0x80u;
  const uint32_t magnitude = bits & 0x7FFFFFFFu;
  if (magnitude > 0x7F800000u) return static_cast<uint8_t>(sign | 0x7Fu);
  if (magnitude >= 0x43E00000u) return static_cast<uint8_t>(sign | 0x7Eu);  // from 448 on
  if (magnitude < 0x3C800000u) {  // below 2^-6: steps of 2^-9, the steps of FP32 at 2^14
    const float moved = std::bit_cast<float>(magnitude) + 0x1p14f;
    return static_cast<uint8_t>(sign | (std::bit_cast<uint32_t>(moved) - 0x46800000u));
  }
  const uint32_t rounded = magnitude + 0x7FFFFu + (magnitude >> 20 & 1u) - (120u << 23);
  return static_cast<uint8_t>(sign | rounded >> 20);
}

}  // namespace hadal::tensor
