#include "model/layers/projection.h"

#include <vector>

#include "ops/linear.h"

namespace hadal::model {

void project(const Weight& w, tensor::ConstMatrix x, tensor::Matrix y, base::ThreadPool& pool,
             bool accumulate) {
  ops::linear(x, w.matrix(), y, pool, accumulate);
  for (const ops::LowRank& adapter : w.adapters) ops::low_rank(adapter, x, y, &pool);
}

void project_backward(const Weight& w, tensor::ConstMatrix x, tensor::ConstMatrix dy, tensor::Matrix dx,
                      base::ThreadPool& pool, bool accumulate) {
  if (w.grad != nullptr) ops::linear_backward_weight(dy, x, w.gradient(), pool);
  std::vector<tensor::Buffer> inner(w.adapters.size());  // [M, rank] each
  for (size_t i = 0; i < inner.size(); ++i) {
    const ops::LowRank& adapter = w.adapters[i];
    inner[i].resize(x.rows * adapter.a.rows);
    ops::low_rank_backward_weight(adapter, x, dy, inner[i].view(x.rows, adapter.a.rows), &pool);
  }
  ops::linear_backward_input(dy, w.matrix(), dx, pool, accumulate);
  for (size_t i = 0; i < inner.size(); ++i) {
    const ops::LowRank& adapter = w.adapters[i];
    ops::low_rank_backward_input(adapter, inner[i].view(x.rows, adapter.a.rows), dx, &pool);
  }
}

}  // namespace hadal::model
