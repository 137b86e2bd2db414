#include "ops/linear.h"

#include <vector>

#include "base/error.h"
#include "kernels/gemm.h"

namespace hadal::ops {

using kernels::Gemm;

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

void grouped_linear(ConstMatrix x, std::span<const Group> groups, Matrix y, base::ThreadPool& pool) {
  std::vector<Gemm> problems;
  problems.reserve(groups.size());
  for (const Group& g : groups) {
    if (g.begin == g.end) continue;
    HADAL_CHECK(g.w.cols == x.cols && g.w.rows == y.cols);
    problems.push_back(kernels::gemm_nt(x.row(g.begin), x.stride, g.w.data, g.w.stride, y.row(g.begin),
                                        y.stride, g.end - g.begin, g.w.rows, g.w.cols));
  }
  kernels::gemm(problems, pool);
}

void grouped_linear_backward(ConstMatrix dy, ConstMatrix x, std::span<const Group> groups, Matrix dx,
                             base::ThreadPool& pool) {
  std::vector<Gemm> problems;
  problems.reserve(2 * groups.size());
  for (const Group& g : groups) {
    const int64_t rows = g.end - g.begin;
    if (rows == 0) continue;
    HADAL_CHECK(g.w.cols == dx.cols && g.w.rows == dy.cols && g.dw.data != nullptr);
    problems.push_back(kernels::gemm_nn(dy.row(g.begin), dy.stride, g.w.data, g.w.stride, dx.row(g.begin),
                                        dx.stride, rows, g.w.cols, g.w.rows));
    problems.push_back(kernels::gemm_tn(dy.row(g.begin), dy.stride, x.row(g.begin), x.stride, g.dw.data,
                                        g.dw.stride, g.w.rows, g.w.cols, rows, true));
  }
  kernels::gemm(problems, pool);
}

}  // namespace hadal::ops
