// Embedding look-up and its gradient.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

// out[i] = table[ids[i]]; ids in [0, table.rows).
void embedding(ConstMatrix table, std::span<const int32_t> ids, Matrix out, base::ThreadPool& pool);
// dtable[ids[i]] += dout[i], in the order of i.
void embedding_backward(ConstMatrix dout, std::span<const int32_t> ids, Matrix dtable,
                        base::ThreadPool& pool);

}  // namespace hadal::ops
