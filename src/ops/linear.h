// Linear layers y = x w^T without bias, their gradients, and the same for groups of rows with a weight each
// (the experts of an MoE layer).
#pragma once

#include <span>

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

// Rows [begin, end) belong to one weight.
struct Group {
  int64_t begin = 0;
  int64_t end = 0;
  ConstMatrix w;  // [N, K], the same shape in every group
  Matrix dw;      // [N, K]; may be empty in forward
};
void grouped_linear(ConstMatrix x, std::span<const Group> groups, Matrix y, base::ThreadPool& pool);
// dx = dy w, dw += dy^T x, group by group.
void grouped_linear_backward(ConstMatrix dy, ConstMatrix x, std::span<const Group> groups, Matrix dx,
                             base::ThreadPool& pool);

}  // namespace hadal::ops
