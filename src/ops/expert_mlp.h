// The experts of an MoE layer: SwiGLU feed-forward of each expert on the tokens that chose it. One expert is
// worked off at a time, a few hundred rows together, so that its inputs and hidden values stay in the cache
// and never exist whole.
#pragma once

#include <span>

#include "base/thread_pool.h"
#include "ops/expert_permute.h"
#include "ops/low_rank.h"
#include "tensor/tensor.h"

namespace hadal::ops {

struct ExpertMlp {
  ConstMatrix gate_up;  // [2 I, hidden]: gate above up
  ConstMatrix down;     // [hidden, I]
  Matrix d_gate_up;     // their gradients; without memory in forward, and where they are frozen
  Matrix d_down;
  std::span<const LowRank> gate_up_adapters = {}, down_adapters = {};  // trained beside them
};

// x [tokens, hidden]. For every slot: gate_up [slots, 2 I] = the pre-activations (kept for the backward
// pass), and outputs [slots, hidden], not yet weighted.
void expert_mlp(const ExpertOrder& order, std::span<const ExpertMlp> experts, ConstMatrix x, Matrix gate_up,
                Matrix outputs, base::ThreadPool& pool);

// The gradient of combine(expert_mlp(x)): from dout [tokens, hidden] and the routing weights [tokens, K] to
// dslots [slots, hidden] (of each slot's input) and dweights [tokens, K]; the experts' gradients are added.
// Uses up gate_up.
void expert_mlp_backward(const ExpertOrder& order, std::span<const ExpertMlp> experts, ConstMatrix x,
                         ConstMatrix weights, ConstMatrix dout, Matrix gate_up, Matrix dslots,
                         Matrix dweights, base::ThreadPool& pool);

}  // namespace hadal::ops
