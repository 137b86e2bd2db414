// What a file to be written holds: its tensors with their formats, and where each value comes from.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "model/config.h"
#include "model/export/weight_list.h"
#include "model/gguf_names.h"
#include "quant/matrix.h"

namespace hadal::model {

struct PlannedTensor {
  std::string name;  // in the file
  tensor::Shape shape;
  const quant::WeightFormat* format = nullptr;
  // The checkpoint's name of the weight; of experts in one tensor with "{}" for the number.
  std::string source;
  GgufLayout layout = GgufLayout::kPlain;
  bool value_half = false;  // kKvB in GGUF: attn_v_b, else attn_k_b
  // Values that come from the config, not from a weight (Llama 3's rope_freqs.weight); F32.
  std::vector<float> constant = {};

  int64_t cols() const { return shape.back(); }
  int64_t rows() const { return tensor::element_count(shape) / shape.back(); }
};

struct ExportPlan {
  std::vector<PlannedTensor> tensors;
  // What was stored in another type than asked for, one line each: said to the user.
  std::vector<std::string> notes;
  int64_t parameters() const;
  int64_t bytes() const;  // of the weights (scales of fp8_block included)
};

// GGUF: matrices in `type`; the head and the embedding at least in q6_k, kv_b_proj and eh_proj at least in
// q8_0; router, norms and biases in F32. A row that is not whole blocks takes the nearest type with smaller
// blocks.
ExportPlan plan_gguf(const ModelConfig& config, const quant::WeightFormat& type, bool with_mtp);

// A Hugging Face directory: f32, f16, bf16, or fp8_block as DeepSeek-V3 has it (linear layers in FP8, the
// rest BF16). Router, norms and biases: F32 for f32, else BF16 or F16; e_score_correction_bias F32.
ExportPlan plan_hf(const ModelConfig& config, const quant::WeightFormat& type, bool with_mtp);

// Says in a config.json of which type the weights are: torch_dtype, and quantization_config for fp8_block.
void set_hf_type(base::Json& config, const quant::WeightFormat& type);

// general.file_type of GGUF: llama.cpp's number for a file that is mostly of this type.
uint32_t gguf_file_type(const quant::WeightFormat& type);

}  // namespace hadal::model
