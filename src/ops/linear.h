// Linear layers y = x w^T without bias, and their gradients.
#pragma once

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

// y[M, N] = x[M, K] w[N, K]^T  (+ y when `accumulate`)
void linear(ConstMatrix x, ConstMatrix w, Matrix y, base::ThreadPool& pool, bool accumulate = false);
// dx[M, K] = dy[M, N] w[N, K]  (+ dx when `accumulate`)
void linear_backward_input(ConstMatrix dy, ConstMatrix w, Matrix dx, base::ThreadPool& pool,
                           bool accumulate = false);
// dw[N, K] += dy[M, N]^T x[M, K]
void linear_backward_weight(ConstMatrix dy, ConstMatrix x, Matrix dw, base::ThreadPool& pool);

}  // namespace hadal::ops
