// SwiGLU feed-forward: down_proj(silu(gate_proj x) * up_proj x). The dense layers and the shared experts.
#pragma once

#include "base/thread_pool.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace hadal::model {

struct MlpActivations {
  tensor::Buffer gate_up;  // [M, 2 * intermediate]
  tensor::Buffer hidden;   // [M, intermediate]
};

// y[M, hidden] += mlp(x[M, hidden])
void mlp_forward(const MlpWeights& w, tensor::ConstMatrix x, MlpActivations& a, tensor::Matrix y,
                 base::ThreadPool& pool);
// dx += gradient; the weights' gradients are added. Uses up the activations.
void mlp_backward(const MlpWeights& w, tensor::ConstMatrix x, MlpActivations& a, tensor::ConstMatrix dy,
                  tensor::Matrix dx, base::ThreadPool& pool);

}  // namespace hadal::model
