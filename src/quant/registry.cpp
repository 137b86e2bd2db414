#include "quant/registry.h"

#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
#include "quant/fp8_block.h"

namespace hadal::quant {

namespace {
constexpr WeightFormat kFormats[] = {
    {"f32", tensor::DType::kF32, false, f32_to_float, f32_from_float},
    {"f16", tensor::DType::kF16, false, f16_to_float, nullptr},
    {"bf16", tensor::DType::kBF16, false, bf16_to_float, bf16_from_float},
    {"fp8_block", tensor::DType::kF8E4M3, true, e4m3_to_float, nullptr},
};
}  // namespace

std::span<const WeightFormat> weight_formats() { return kFormats; }

const WeightFormat* find_weight_format(tensor::DType dtype) {
  for (const auto& format : kFormats) {
    if (format.dtype == dtype) return &format;
  }
  return nullptr;
}

}  // namespace hadal::quant
