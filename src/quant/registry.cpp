#include "quant/registry.h"

#include "base/error.h"
#include "quant/bf16.h"
#include "quant/f16.h"
#include "quant/f32.h"
#include "quant/fp8_block.h"
#include "quant/iq4_nl.h"
#include "quant/iq4_xs.h"
#include "quant/q2_k.h"
#include "quant/q3_k.h"
#include "quant/q4_0.h"
#include "quant/q4_1.h"
#include "quant/q4_k.h"
#include "quant/q5_0.h"
#include "quant/q5_1.h"
#include "quant/q5_k.h"
#include "quant/q6_k.h"
#include "quant/q8_0.h"

namespace hadal::quant {

namespace {
using tensor::DType;
using enum WeightType;

constexpr WeightFormat kFormats[] = {
    {"f32", kF32, 1, 4, DType::kF32, 0, false, f32_to_float, f32_from_float},
    {"f16", kF16, 1, 2, DType::kF16, 1, false, f16_to_float, f16_from_float},
    {"bf16", kBF16, 1, 2, DType::kBF16, 30, false, bf16_to_float, bf16_from_float},
    {"fp8_block", kFp8Block, 1, 1, DType::kF8E4M3, {}, true, e4m3_to_float, nullptr},
    {"q8_0", kQ8_0, kQ8_0Elements, kQ8_0Bytes, {}, 8, false, q8_0_to_float, q8_0_from_float},
    {"q4_0", kQ4_0, kQ4_0Elements, kQ4_0Bytes, {}, 2, false, q4_0_to_float, q4_0_from_float},
    {"q4_1", kQ4_1, kQ4_1Elements, kQ4_1Bytes, {}, 3, false, q4_1_to_float, q4_1_from_float},
    {"q5_0", kQ5_0, kQ5_0Elements, kQ5_0Bytes, {}, 6, false, q5_0_to_float, q5_0_from_float},
    {"q5_1", kQ5_1, kQ5_1Elements, kQ5_1Bytes, {}, 7, false, q5_1_to_float, q5_1_from_float},
    {"q2_k", kQ2_K, kQ2_KElements, kQ2_KBytes, {}, 10, false, q2_k_to_float, q2_k_from_float},
    {"q3_k", kQ3_K, kQ3_KElements, kQ3_KBytes, {}, 11, false, q3_k_to_float, q3_k_from_float},
    {"q4_k", kQ4_K, kQ4_KElements, kQ4_KBytes, {}, 12, false, q4_k_to_float, q4_k_from_float},
    {"q5_k", kQ5_K, kQ5_KElements, kQ5_KBytes, {}, 13, false, q5_k_to_float, q5_k_from_float},
    {"q6_k", kQ6_K, kQ6_KElements, kQ6_KBytes, {}, 14, false, q6_k_to_float, q6_k_from_float},
    {"iq4_nl", kIQ4_NL, kIQ4_NLElements, kIQ4_NLBytes, {}, 20, false, iq4_nl_to_float, iq4_nl_from_float},
    {"iq4_xs", kIQ4_XS, kIQ4_XSElements, kIQ4_XSBytes, {}, 23, false, iq4_xs_to_float, iq4_xs_from_float},
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
