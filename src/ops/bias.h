// A bias on rows, and its gradient.
#pragma once

#include <cstdint>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

// y[M, N] += bias[N] in every row.
void add_bias(const float* bias, tensor::Matrix y, base::ThreadPool& pool);
// dbias[N] += the sum of dy's rows, in chunks of fixed size.
void bias_backward(tensor::ConstMatrix dy, float* dbias, base::ThreadPool& pool);

}  // namespace hadal::ops
