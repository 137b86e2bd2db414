// The weight formats that Hadal reads, one row each. A new format is a file pair beside this one and a row in
// registry.cpp.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "tensor/dtype.h"

namespace hadal::quant {

struct WeightFormat {
  std::string_view name;
  tensor::DType dtype;
  bool block_scaled;  // a second tensor holds scales: see fp8_block.h
  // `count` elements to FP32, exactly and without scales; bytes need not be aligned.
  void (*to_float)(const std::byte* bytes, int64_t count, float* out);
  // The inverse, rounding to nearest even; null: this format is read only.
  void (*from_float)(const float* values, int64_t count, std::byte* bytes);
};

std::span<const WeightFormat> weight_formats();

// Null for types that hold no weights (integers).
const WeightFormat* find_weight_format(tensor::DType dtype);

}  // namespace hadal::quant
