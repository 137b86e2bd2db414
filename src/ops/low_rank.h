// A low-rank adapter beside a linear layer (Hu et al. 2021, LoRA, eq. 3): y = x W^T + scale (x A^T) B^T, with
// W frozen. A and B are a hundredth of W or less.
#pragma once

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

struct LowRank {
  ConstMatrix a;    // [rank, in]
  ConstMatrix b;    // [out, rank]
  Matrix d_a, d_b;  // their gradients; without memory while nothing is trained
  int64_t row = 0;  // the adapted rows of W are [row, row + out): a fused weight has an adapter for each part
  float scale = 1;  // alpha / rank
};

// y[M, rows of W] += the adapter's part. `pool` null: on the calling thread.
void low_rank(const LowRank& adapter, ConstMatrix x, Matrix y, base::ThreadPool* pool);

// d_a and d_b += gradients of x [M, in] and dy [M, rows of W]; inner [M, rank] becomes scale * dy B, which
// low_rank_backward_input needs: dx[M, in] += inner A. In two steps, so that dx may be x's memory.
void low_rank_backward_weight(const LowRank& adapter, ConstMatrix x, ConstMatrix dy, Matrix inner,
                              base::ThreadPool* pool);
void low_rank_backward_input(const LowRank& adapter, ConstMatrix inner, Matrix dx, base::ThreadPool* pool);

}  // namespace hadal::ops
