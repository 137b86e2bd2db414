// RMSNorm over rows: y = x / sqrt(mean(x^2) + eps) * weight (Zhang and Sennrich 2019).
#pragma once

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

// x, y [M, N]; weight [N]; inv_rms [M], kept for the backward pass (null when there is none).
void rms_norm(ConstMatrix x, const float* weight, double eps, Matrix y, float* inv_rms,
              base::ThreadPool& pool);

// dx[M, N] += gradient through the norm; dweight[N] += its weight's
// (null: frozen). Sums in chunks of fixed size.
void rms_norm_backward(ConstMatrix x, const float* weight, const float* inv_rms, ConstMatrix dy, Matrix dx,
                       float* dweight, base::ThreadPool& pool);

}  // namespace hadal::ops
