#include "ops/linear.h"

#include "base/error.h"
#include "kernels/gemm.h"

namespace hadal::ops {

void linear(ConstMatrix x, ConstMatrix w, Matrix y, base::ThreadPool& pool, bool accumulate) {
  HADAL_CHECK(x.cols == w.cols && y.rows == x.rows && y.cols == w.rows);
  kernels::gemm(kernels::gemm_nt(x.data, x.stride, w.data, w.stride, y.data, y.stride, x.rows, w.rows, x.cols,
                                 accumulate),
                pool);
}

void linear_backward_input(ConstMatrix dy, ConstMatrix w, Matrix dx, base::ThreadPool& pool,
                           bool accumulate) {
  HADAL_CHECK(dy.cols == w.rows && dx.rows == dy.rows && dx.cols == w.cols);
  kernels::gemm(kernels::gemm_nn(dy.data, dy.stride, w.data, w.stride, dx.data, dx.stride, dy.rows, w.cols,
                                 w.rows, accumulate),
                pool);
}

void linear_backward_weight(ConstMatrix dy, ConstMatrix x, Matrix dw, base::ThreadPool& pool) {
  HADAL_CHECK(dy.rows == x.rows && dw.rows == dy.cols && dw.cols == x.cols);
  kernels::gemm(kernels::gemm_tn(dy.data, dy.stride, x.data, x.stride, dw.data, dw.stride, dy.cols, x.cols,
                                 dy.rows, true),
                pool);
}

}  // namespace hadal::ops
