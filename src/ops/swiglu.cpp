#include "ops/swiglu.h"

#include "base/error.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {
constexpr int64_t kChunkRows = 64;
}

void swiglu(ConstMatrix gate_up, Matrix y, base::ThreadPool& pool) {
  HADAL_CHECK(gate_up.cols == 2 * y.cols && gate_up.rows == y.rows);
  base::parallel_for(pool, y.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels::swiglu(gate_up.row(i), gate_up.row(i) + y.cols, y.row(i), y.cols);
    }
  });
}

void swiglu_backward(ConstMatrix gate_up, ConstMatrix dy, Matrix d_gate_up, base::ThreadPool& pool) {
  HADAL_CHECK(gate_up.cols == 2 * dy.cols && gate_up.rows == dy.rows && d_gate_up.cols == gate_up.cols);
  base::parallel_for(pool, dy.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      kernels::swiglu_backward(gate_up.row(i), gate_up.row(i) + dy.cols, dy.row(i), d_gate_up.row(i),
                               d_gate_up.row(i) + dy.cols, dy.cols);
    }
  });
}

}  // namespace hadal::ops
