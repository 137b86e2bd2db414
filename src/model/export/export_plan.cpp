#include "model/export/export_plan.h"

#include <algorithm>
#include <map>

#include "base/error.h"
#include "model/gguf_config.h"

namespace hadal::model {
namespace {

using quant::weight_format;
using quant::WeightFormat;
using enum quant::WeightType;

double bits(const WeightFormat& format) {
  return 8.0 * static_cast<double>(format.block_bytes) / static_cast<double>(format.block_elements);
}

// The type for a row that is not whole blocks of `type`: the one with blocks of 32 that loses least more,
// then F16.
const WeightFormat& smaller_blocks(const WeightFormat& type) {
  switch (type.type) {
    case kQ2_K:
    case kQ3_K:
    case kIQ4_XS:
      return weight_format(kIQ4_NL);
    case kQ4_K:
      return weight_format(kQ5_0);
    case kQ5_K:
      return weight_format(kQ5_1);
    case kQ6_K:
      return weight_format(kQ8_0);
    default:
      return weight_format(kF16);
  }
}

const WeightFormat& at_least(const WeightFormat& type, quant::WeightType floor) {
  const WeightFormat& least = weight_format(floor);
  return bits(type) < bits(least) ? least : type;
}

const WeightFormat& wanted(const WeightFormat& type, WeightRole role) {
  switch (role) {
    case WeightRole::kVector:
    case WeightRole::kRouter:
      return weight_format(kF32);
    case WeightRole::kKvB:
    case WeightRole::kMtpProj:
      return at_least(type, kQ8_0);
    case WeightRole::kEmbedding:
    case WeightRole::kHead:
      return at_least(type, kQ6_K);
    case WeightRole::kMatrix:
      return type;
  }
  return type;
}

class GgufPlanner {
 public:
  GgufPlanner(const ModelConfig& config, const WeightFormat& type)
      : config_(config), type_(type), architecture_(gguf_architecture(config)) {}

  void add(const WeightInfo& weight) {
    const auto place = gguf_place(weight.name, architecture_);
    if (!place) {
      throw_error(ErrorCode::kUnsupported, "[gguf] {}: GGUF's architecture {} has no place for this weight",
                  weight.name, architecture_);
    }
    switch (place->layout) {
      case GgufLayout::kKvB: {
        const int64_t heads = config_.num_attention_heads;
        add(place->k_b, {heads, config_.kv_lora_rank, config_.qk_nope_head_dim}, weight, place->layout);
        add(place->v_b, {heads, config_.v_head_dim, config_.kv_lora_rank}, weight, place->layout);
        plan_.tensors.back().value_half = true;
        break;
      }
      case GgufLayout::kExpert:
        if (place->expert > 0) break;  // the first stands for all
        add(place->name, {config_.n_routed_experts, weight.shape[0], weight.shape[1]}, weight, place->layout);
        plan_.tensors.back().source = hf_place(place->name, architecture_)->name;
        break;
      default:
        add(place->name, weight.shape, weight, place->layout);
    }
  }

  ExportPlan take() {
    for (const auto& [what, count] : fallbacks_)
      plan_.notes.push_back(fmt::format("{} tensors: {}", count, what));
    return std::move(plan_);
  }

 private:
  void add(const std::string& name, const tensor::Shape& shape, const WeightInfo& weight, GgufLayout layout) {
    const WeightFormat* format = &wanted(type_, weight.role);
    const WeightFormat& first = *format;
    while (shape.back() % format->block_elements != 0) format = &smaller_blocks(*format);
    if (format != &first) {
      ++fallbacks_[fmt::format("rows of {} are not whole blocks of {} ({}), stored as {}", shape.back(),
                               first.block_elements, first.name, format->name)];
    }
    plan_.tensors.push_back({name, shape, format, weight.name, layout, false, {}});
  }

  const ModelConfig& config_;
  const WeightFormat& type_;
  std::string_view architecture_;
  ExportPlan plan_;
  std::map<std::string, int> fallbacks_;
};

}  // namespace

int64_t ExportPlan::parameters() const {
  int64_t total = 0;
  for (const auto& tensor : tensors) total += tensor::element_count(tensor.shape);
  return total;
}

int64_t ExportPlan::bytes() const {
  int64_t total = 0;
  for (const auto& tensor : tensors) {
    total += tensor.format->bytes(tensor::element_count(tensor.shape));
    if (!tensor.format->block_scaled) continue;
    const quant::Fp8BlockShape block;
    total += 4 * quant::fp8_block_count(tensor.rows(), block.rows) *
             quant::fp8_block_count(tensor.cols(), block.cols);
  }
  return total;
}

ExportPlan plan_gguf(const ModelConfig& config, const WeightFormat& type, bool with_mtp) {
  if (!type.gguf_type) {
    throw_error(ErrorCode::kUnsupported, "[gguf] GGUF has no type {}: use q8_0 for 8 bits", type.name);
  }
  GgufPlanner planner(config, type);
  for (const auto& weight : weight_list(config, with_mtp)) planner.add(weight);
  ExportPlan plan = planner.take();
  if (config.llama3_scaling) {
    auto factors = llama3_rope_factors(*config.llama3_scaling, config.head_dim, config.rope_theta);
    const auto size = static_cast<int64_t>(factors.size());
    plan.tensors.push_back(
        {kRopeFreqs, {size}, &weight_format(kF32), "", GgufLayout::kPlain, false, std::move(factors)});
  }
  return plan;
}

ExportPlan plan_hf(const ModelConfig& config, const WeightFormat& type, bool with_mtp) {
  if (!type.dtype) {
    throw_error(
        ErrorCode::kUnsupported,
        "[safetensors] type {} has no place in a Hugging Face directory: use f32, f16, bf16 or fp8_block, or "
        "write a .gguf",
        type.name);
  }
  ExportPlan plan;
  const WeightFormat& plain = type.block_scaled ? weight_format(kBF16) : type;
  for (const auto& weight : weight_list(config, with_mtp)) {
    const bool linear = weight.role == WeightRole::kMatrix || weight.role == WeightRole::kKvB;
    const WeightFormat* format = linear ? &type : &plain;
    if (weight.name.ends_with("e_score_correction_bias")) format = &weight_format(kF32);
    plan.tensors.push_back({weight.name, weight.shape, format, weight.name, GgufLayout::kPlain, false, {}});
  }
  return plan;
}

void set_hf_type(base::Json& config, const WeightFormat& type) {
  config["torch_dtype"] = type.type == kF32 ? "float32" : type.type == kF16 ? "float16" : "bfloat16";
  config.erase("dtype");  // transformers 5's name of the same
  config.erase("quantization_config");
  if (!type.block_scaled) return;
  const quant::Fp8BlockShape block;
  config["quantization_config"] = {{"quant_method", "fp8"},
                                   {"fmt", "e4m3"},
                                   {"activation_scheme", "dynamic"},
                                   {"weight_block_size", {block.rows, block.cols}}};
}

uint32_t gguf_file_type(const WeightFormat& type) {
  switch (type.type) {
    case kF32:
      return 0;
    case kF16:
      return 1;
    case kQ4_0:
      return 2;
    case kQ4_1:
      return 3;
    case kQ8_0:
      return 7;
    case kQ5_0:
      return 8;
    case kQ5_1:
      return 9;
    case kQ2_K:
      return 10;
    case kQ3_K:
      return 12;
    case kQ4_K:
      return 15;
    case kQ5_K:
      return 17;
    case kQ6_K:
      return 18;
    case kIQ4_NL:
      return 25;
    case kIQ4_XS:
      return 30;
    case kBF16:
      return 32;
    case kFp8Block:
      break;
  }
  HADAL_CHECK(false);
  return 0;
}

}  // namespace hadal::model
