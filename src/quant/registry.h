// The weight formats that Hadal reads, one row each. A new format is a file pair beside this one and a row in
// registry.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "tensor/dtype.h"

namespace hadal::quant {

enum class WeightType : uint8_t {
  kF32,
  kF16,
  kBF16,
  kFp8Block,
  kQ8_0,
  kQ4_0,
  kQ4_1,
  kQ5_0,
  kQ5_1,
  kQ2_K,
  kQ3_K,
  kQ4_K,
  kQ5_K,
  kQ6_K,
  kIQ4_NL,
  kIQ4_XS,
};

// A row of a matrix is a whole number of blocks of `block_elements` values in `block_bytes` bytes.
struct WeightFormat {
  std::string_view name;  // "q4_k", as on the command line
  WeightType type;
  int64_t block_elements;  // 1, 32 or 256
  int64_t block_bytes;
  std::optional<tensor::DType> dtype;  // in safetensors
  std::optional<uint32_t> gguf_type;   // ggml's number of the type
  bool block_scaled;                   // a second tensor holds scales: see fp8_block.h
  // `count` elements (whole blocks) to FP32, exactly and without a second tensor's scales; bytes need not be
  // aligned.
  void (*to_float)(const std::byte* bytes, int64_t count, float* out);
  // The inverse, to the nearest that the format holds; null: this format is read only. `importance` is null
  // or weighs the squared error of each of the `count` values (> 0), where the format has a choice.
  void (*from_float)(const float* values, int64_t count, std::byte* bytes, const float* importance);

  int64_t bytes(int64_t elements) const { return elements / block_elements * block_bytes; }
};

std::span<const WeightFormat> weight_formats();

const WeightFormat& weight_format(WeightType type);
// Null for what holds no weights (integers), and for unknown names and numbers.
const WeightFormat* find_weight_format(tensor::DType dtype);
const WeightFormat* find_weight_format(std::string_view name);
const WeightFormat* find_gguf_format(uint32_t gguf_type);

}  // namespace hadal::quant
