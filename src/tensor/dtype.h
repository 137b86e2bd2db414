// Element types as safetensors names them, with their sizes and their exact conversion to FP32.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace hadal::tensor {

enum class DType { kF32, kF16, kBF16, kF8E4M3, kF8E8M0, kI64, kI32, kU8 };

size_t dtype_bytes(DType type);
std::string_view dtype_name(DType type);               // "BF16"
bool parse_dtype(std::string_view name, DType& type);  // false: unknown name

float bf16_to_float(uint16_t bits);
uint16_t float_to_bf16(float value);  // round to nearest even; NaN stays NaN
float f16_to_float(uint16_t bits);
uint16_t float_to_f16(float value);  // round to nearest even; past 65504 infinity; NaN stays NaN
float e8m0_to_float(uint8_t bits);   // OCP MX scale: 2^(bits - 127), 0xFF is NaN
float e4m3_to_float(uint8_t bits);   // OCP E4M3FN: no infinities, 0x7F and 0xFF are NaN
uint8_t float_to_e4m3(float value);  // round to nearest even; past 448 the largest code; NaN stays NaN

}  // namespace hadal::tensor
