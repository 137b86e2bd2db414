// lm_head over rows of hidden states, a tile of rows at a time: the logits of a batch never exist whole.
#pragma once

#include <cstdint>
#include <functional>

#include "base/thread_pool.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace hadal::model {

// Rows [first, first + logits.rows) of the hidden states; logits [rows, vocab].
using HeadTile = std::function<void(int64_t first, tensor::Matrix logits)>;

// Shows the logits of every row, in order.
void head_forward(const Weight& head, tensor::ConstMatrix hidden, tensor::Buffer& logits, const HeadTile& see,
                  base::ThreadPool& pool);
// Computes them (again); `to_gradient` replaces each tile by the loss's gradient of it. Adds the head's
// gradient and sets d_hidden [rows, hidden].
void head_backward(const Weight& head, tensor::ConstMatrix hidden, tensor::Buffer& logits,
                   const HeadTile& to_gradient, tensor::Matrix d_hidden, base::ThreadPool& pool);

}  // namespace hadal::model
