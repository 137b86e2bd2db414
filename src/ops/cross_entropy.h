// Cross-entropy of rows of logits, and its gradient in place.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

// losses[i] = -log softmax(logits[i])[targets[i]] in nats; 0 where targets[i] is -1. With `with_gradient`,
// logits become scale * d(sum of losses)/dlogits.
void cross_entropy(tensor::Matrix logits, std::span<const int32_t> targets, float scale, bool with_gradient,
                   float* losses, base::ThreadPool& pool);

}  // namespace hadal::ops
