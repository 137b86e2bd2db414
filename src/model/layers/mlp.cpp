#include "model/layers/mlp.h"

#include "ops/linear.h"
#include "ops/swiglu.h"

namespace hadal::model {

void mlp_forward(const MlpWeights& w, tensor::ConstMatrix x, MlpActivations& a, tensor::Matrix y,
                 base::ThreadPool& pool) {
  const int64_t intermediate = w.down_proj.cols;
  a.gate_up.resize(x.rows * 2 * intermediate);
  a.hidden.resize(x.rows * intermediate);
  ops::linear(x, w.gate_up.matrix(), a.gate_up.view(x.rows, 2 * intermediate), pool);
  ops::swiglu(a.gate_up.view(x.rows, 2 * intermediate), a.hidden.view(x.rows, intermediate), pool);
  ops::linear(a.hidden.view(x.rows, intermediate), w.down_proj.matrix(), y, pool, /*accumulate=*/true);
}

void mlp_backward(const MlpWeights& w, tensor::ConstMatrix x, MlpActivations& a, tensor::ConstMatrix dy,
                  tensor::Matrix dx, base::ThreadPool& pool) {
  const int64_t intermediate = w.down_proj.cols;
  const auto gate_up = a.gate_up.view(x.rows, 2 * intermediate);
  const auto hidden = a.hidden.view(x.rows, intermediate);
  ops::linear_backward_weight(dy, hidden, w.down_proj.gradient(), pool);
  ops::linear_backward_input(dy, w.down_proj.matrix(), hidden, pool);  // hidden becomes its own gradient
  ops::swiglu_backward(gate_up, hidden, gate_up, pool);                // and so does gate_up
  ops::linear_backward_weight(gate_up, x, w.gate_up.gradient(), pool);
  ops::linear_backward_input(gate_up, w.gate_up.matrix(), dx, pool, /*accumulate=*/true);
}

}  // namespace hadal::model
