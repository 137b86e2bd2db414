// A linear layer of the model: its weight and the low-rank adapters beside it, where there are any.
#pragma once

#include "base/thread_pool.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace hadal::model {

// y[M, rows] = x[M, cols] W^T  (+ y when `accumulate`)
void project(const Weight& w, tensor::ConstMatrix x, tensor::Matrix y, base::ThreadPool& pool,
             bool accumulate = false);

// The gradients of the weight and its adapters are added, as far as they are trained;
// dx[M, cols] = dy[M, rows] W  (+ dx when `accumulate`). dx may be x's memory.
void project_backward(const Weight& w, tensor::ConstMatrix x, tensor::ConstMatrix dy, tensor::Matrix dx,
                      base::ThreadPool& pool, bool accumulate = false);

}  // namespace hadal::model
