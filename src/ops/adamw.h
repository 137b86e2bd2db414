// The optimizer's passes over all parameters: the norm of the gradient and the AdamW update. Work is cut into
// fixed chunks and partial sums are added in chunk order, so the bits do not depend on the number of threads.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"

namespace hadal::ops {

struct OptimizerTensor {
  float* value = nullptr;       // [size]
  const float* grad = nullptr;  // [size]
  int64_t size = 0;
  int64_t offset = 0;  // of its first element in the flat moment buffers
  bool decay = false;  // weight decay applies
};

// sqrt(sum of squares) over every gradient; NaN or infinity when a gradient holds one.
double gradient_norm(std::span<const OptimizerTensor> tensors, base::ThreadPool& pool);

struct AdamWStep {
  double lr = 0;
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0;
  double grad_scale = 1;  // clipping: min(1, max_norm / norm)
  int64_t step = 1;       // 1 for the first update: the bias correction is 1 - beta^step
};

// One update of every tensor. m and v are flat: [sum of sizes]. See kernels::AdamW for the formula.
void adamw(const AdamWStep& step, std::span<const OptimizerTensor> tensors, float* m, float* v,
           base::ThreadPool& pool);
// The same with BF16 moments, rounded to nearest even after every update.
void adamw(const AdamWStep& step, std::span<const OptimizerTensor> tensors, uint16_t* m, uint16_t* v,
           base::ThreadPool& pool);

}  // namespace hadal::ops
