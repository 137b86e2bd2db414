// The weights that a model of a config has, under their checkpoint names, with what each is for: the plan of
// every file that is written.
#pragma once

#include <string>
#include <vector>

#include "model/config.h"
#include "tensor/tensor.h"

namespace hadal::model {

enum class WeightRole {
  kMatrix,     // attention, dense layers, experts
  kKvB,        // kv_b_proj: small, and every cached token passes through it
  kEmbedding,  // embed_tokens
  kHead,       // lm_head, or embed_tokens where the two are one
  kMtpProj,    // eh_proj
  kRouter,     // gate.weight
  kVector,     // norms, biases
};

struct WeightInfo {
  std::string name;
  tensor::Shape shape;
  WeightRole role = WeightRole::kMatrix;
};

// In checkpoint order. with_mtp: the multi-token-prediction module too, as layer num_hidden_layers.
std::vector<WeightInfo> weight_list(const ModelConfig& config, bool with_mtp);

}  // namespace hadal::model
