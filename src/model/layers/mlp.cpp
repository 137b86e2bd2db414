#include "model/layers/mlp.h"

#include "model/layers/projection.h"
#include "ops/swiglu.h"

namespace hadal::model {

void mlp_forward(const MlpWeights& w, tensor::ConstMatrix x, MlpActivations& a, tensor::Matrix y,
                 base::ThreadPool& pool) {
  const int64_t intermediate = w.down_proj.cols;
  a.gate_up.resize(x.rows * 2 * intermediate);
  a.hidden.resize(x.rows * intermediate);
  project(w.gate_up, x, a.gate_up.view(x.rows, 2 * intermediate), pool);
  ops::swiglu(a.gate_up.view(x.rows, 2 * intermediate), a.hidden.view(x.rows, intermediate), pool);
  project(w.down_proj, a.hidden.view(x.rows, intermediate), y, pool, /*accumulate=*/true);
}

void mlp_backward(const MlpWeights& w, tensor::ConstMatrix x, MlpActivations& a, tensor::ConstMatrix dy,
                  tensor::Matrix dx, base::ThreadPool& pool) {
  const int64_t intermediate = w.down_proj.cols;
  const auto gate_up = a.gate_up.view(x.rows, 2 * intermediate);
  const auto hidden = a.hidden.view(x.rows, intermediate);
  project_backward(w.down_proj, hidden, dy, hidden, pool);  // hidden becomes its own gradient
  ops::swiglu_backward(gate_up, hidden, gate_up, pool);     // and so does gate_up
  project_backward(w.gate_up, x, gate_up, dx, pool, /*accumulate=*/true);
}

}  // namespace hadal::model
