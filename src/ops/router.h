// The MoE gate: which experts a token goes to, and with what weight (DeepSeek-V2 eq. 20-22, DeepSeek-V3 eq.
// 12-16; group limits as in DeepSeek-V3 inference/model.py, class Gate).
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

struct RouterOptions {
  bool sigmoid = false;  // scores: sigmoid, else softmax
  int64_t experts = 0;   // E
  int64_t top_k = 0;     // K
  int64_t groups = 1;    // 1: no group limit
  int64_t top_groups = 1;
  bool group_sum_of_two =
      false;                    // a group's rank: sum of its two best biased scores (V3), else its best (V2)
  bool normalize = false;       // weights sum to one before scaling
  float scale = 1;              // routed_scaling_factor
  const float* bias = nullptr;  // [E]; enters the selection only, never the weight
};

// What the backward pass needs, and what the experts read.
struct Routing {
  tensor::Buffer scores;         // [tokens, E]
  std::vector<int32_t> experts;  // [tokens, K], by falling selection score
  tensor::Buffer weights;        // [tokens, K]
};

// logits [tokens, E].
void route(const RouterOptions& options, ConstMatrix logits, Routing& routing, base::ThreadPool& pool);

// dweights [tokens, K] -> dlogits [tokens, E].
void route_backward(const RouterOptions& options, const Routing& routing, ConstMatrix dweights,
                    Matrix dlogits, base::ThreadPool& pool);

// The sequence-wise balance loss of DeepSeek-V3 eq. 17-20, mean over the sequences of `length` tokens:
// alpha * sum_i f_i P_i with f_i from the unbiased top-K. Adds its gradient times gradient_scale to dlogits
// when that is not empty.
double sequence_balance_loss(const RouterOptions& options, const Routing& routing, int64_t length,
                             float alpha, float gradient_scale, Matrix dlogits, base::ThreadPool& pool);

}  // namespace hadal::ops
