// DeepSeekMoE: routed experts chosen per token, and shared experts that see every token (DeepSeek-V3 eq.
// 12-16).
#pragma once

#include "base/thread_pool.h"
#include "model/layers/mlp.h"
#include "model/weights.h"
#include "ops/expert_permute.h"
#include "ops/router.h"
#include "tensor/tensor.h"

namespace hadal::model {

struct MoeActivations {
  tensor::Buffer logits;  // [M, E]
  ops::Routing routing;
  ops::ExpertOrder order;
  tensor::Buffer gate_up;  // [M * K, 2 * moe_intermediate]
  tensor::Buffer outputs;  // [M * K, hidden]
  MlpActivations shared;
};

struct BalanceLoss {
  float alpha = 0;  // 0: none
  float gradient_scale = 1;
  int64_t length = 0;  // tokens of one sequence
};

// How the config's gate chooses. selection_bias: e_score_correction_bias, or null.
ops::RouterOptions router_options(const ModelConfig& config, const float* selection_bias);

// y += moe(x); x, y [M, hidden].
void moe_forward(const ModelConfig& config, const MoeWeights& w, tensor::ConstMatrix x, MoeActivations& a,
                 tensor::Matrix y, base::ThreadPool& pool);
// dx += gradient; weights' gradients are added; returns the balance loss. Uses up the activations.
double moe_backward(const ModelConfig& config, const MoeWeights& w, tensor::ConstMatrix x, MoeActivations& a,
                    tensor::ConstMatrix dy, tensor::Matrix dx, const BalanceLoss& balance,
                    base::ThreadPool& pool);

// The value of the balance loss after a forward pass.
double moe_balance_loss(const ModelConfig& config, const MoeWeights& w, const MoeActivations& a,
                        const BalanceLoss& balance, base::ThreadPool& pool);

}  // namespace hadal::model
