#include "quant/registry.h"

#include "base/error.h"
#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
#include "quant/fp8_block.h"

namespace hadal::quant {

namespace {
using tensor::DType;
using enum WeightType;

constexpr WeightFormat kFormats[] = {
    {"f32", kF32, 1, 4, DType::kF32, 0, false, f32_to_float, f32_from_float},
    {"f16", kF16, 1, 2, DType::kF16, 1, false, f16_to_float, nullptr},
    {"bf16", kBF16, 1, 2, DType::kBF16, 30, false, bf16_to_float, bf16_from_float},
    {"fp8_block", kFp8Block, 1, 1, DType::kF8E4M3, {}, true, e4m3_to_float, nullptr},
};

template <typename Matches>
const WeightFormat* find(Matches&& matches) {
  for (const auto& format : kFormats) {
    if (matches(format)) return &format;
  }
  return nullptr;
}

}  // namespace

std::span<const WeightFormat> weight_formats() { return kFormats; }

const WeightFormat& weight_format(WeightType type) {
  const auto* format = find([type](const WeightFormat& f) { return f.type == type; });
  HADAL_CHECK(format != nullptr);
  return *format;
}

const WeightFormat* find_weight_format(DType dtype) {
  return find([dtype](const WeightFormat& f) { return f.dtype == dtype; });
}

const WeightFormat* find_weight_format(std::string_view name) {
  return find([name](const WeightFormat& f) { return f.name == name; });
}

const WeightFormat* find_gguf_format(uint32_t gguf_type) {
  return find([gguf_type](const WeightFormat& f) { return f.gguf_type == gguf_type; });
}

}  // namespace hadal::quant
