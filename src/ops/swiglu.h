// SwiGLU over rows that hold gate and up side by side: y = silu(gate) * up.
#pragma once

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

// gate_up [M, 2 I]: gate in the first I columns. y [M, I].
void swiglu(ConstMatrix gate_up, Matrix y, base::ThreadPool& pool);
// d_gate_up [M, 2 I] from dy [M, I]; may be gate_up's own memory.
void swiglu_backward(ConstMatrix gate_up, ConstMatrix dy, Matrix d_gate_up, base::ThreadPool& pool);

}  // namespace hadal::ops
