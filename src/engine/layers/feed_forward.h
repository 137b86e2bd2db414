// The feed-forward part of a layer for inference: SwiGLU, or routed experts beside shared ones (DeepSeek-V3
// eq. 12-16).
#pragma once

#include <vector>

#include "engine/layers/context.h"
#include "ops/expert_permute.h"
#include "ops/router.h"

namespace hadal::engine {

struct FeedForwardScratch {
  Activations inputs, hidden_inputs, shared_inputs;
  Buffer logits;  // [M, n_routed_experts]
  ops::Routing routing;
  ops::ExpertOrder order;
  Buffer gate_up, hidden, outputs;       // [slots, 2 * intermediate], [slots, intermediate], [slots, hidden]
  Buffer shared_gate_up, shared_hidden;  // the same of the shared experts, or of a dense layer, for M rows
};

// y += feed_forward(x), x and y [M, hidden].
void feed_forward(const LayerContext& context, const model::StoredBlock& w, ConstMatrix x,
                  FeedForwardScratch& scratch, Matrix y);

}  // namespace hadal::engine
