#include "ops/low_rank.h"

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {

void multiply(const kernels::Gemm& problem, base::ThreadPool* pool) {
  if (pool != nullptr)
    kernels::gemm(problem, *pool);
  else
    kernels::gemm(problem);
}

void scale_rows(float factor, Matrix x) {
  for (int64_t i = 0; i < x.rows; ++i) kernels::scale(factor, x.row(i), x.cols);
}

// scale * x A^T into inner [M, rank].
void shrink(const LowRank& w, ConstMatrix x, Matrix inner, base::ThreadPool* pool) {
  multiply(kernels::gemm_nt(x.data, x.stride, w.a.data, w.a.stride, inner.data, inner.stride, x.rows,
                            w.a.rows, x.cols),
           pool);
  scale_rows(w.scale, inner);
}

void check_shapes(const LowRank& w, int64_t in, int64_t out) {
  HADAL_CHECK(w.a.cols == in && w.b.cols == w.a.rows && w.row + w.b.rows <= out);
}

}  // namespace

void low_rank(const LowRank& w, ConstMatrix x, Matrix y, base::ThreadPool* pool) {
  check_shapes(w, x.cols, y.cols);
  tensor::Buffer buffer(x.rows * w.a.rows);
  const auto inner = buffer.view(x.rows, w.a.rows);  // [M, rank]
  shrink(w, x, inner, pool);
  const auto out = y.slice_cols(w.row, w.b.rows);
  multiply(kernels::gemm_nt(inner.data, inner.stride, w.b.data, w.b.stride, out.data, out.stride, x.rows,
                            w.b.rows, w.a.rows, /*accumulate=*/true),
           pool);
}

void low_rank_backward_weight(const LowRank& w, ConstMatrix x, ConstMatrix dy, Matrix inner,
                              base::ThreadPool* pool) {
  check_shapes(w, x.cols, dy.cols);
  HADAL_CHECK(x.rows == dy.rows && inner.rows == x.rows && inner.cols == w.a.rows);
  const auto part = dy.slice_cols(w.row, w.b.rows);
  if (w.d_b.data != nullptr) {
    shrink(w, x, inner, pool);
    multiply(kernels::gemm_tn(part.data, part.stride, inner.data, inner.stride, w.d_b.data, w.d_b.stride,
                              w.b.rows, w.a.rows, x.rows, /*accumulate=*/true),
             pool);
  }
  multiply(kernels::gemm_nn(part.data, part.stride, w.b.data, w.b.stride, inner.data, inner.stride, x.rows,
                            w.a.rows, w.b.rows),
           pool);
  scale_rows(w.scale, inner);
  if (w.d_a.data == nullptr) return;
  multiply(kernels::gemm_tn(inner.data, inner.stride, x.data, x.stride, w.d_a.data, w.d_a.stride, w.a.rows,
                            x.cols, x.rows, /*accumulate=*/true),
           pool);
}

void low_rank_backward_input(const LowRank& w, ConstMatrix inner, Matrix dx, base::ThreadPool* pool) {
  HADAL_CHECK(dx.rows == inner.rows && dx.cols == w.a.cols);
  multiply(kernels::gemm_nn(inner.data, inner.stride, w.a.data, w.a.stride, dx.data, dx.stride, dx.rows,
                            dx.cols, w.a.rows, /*accumulate=*/true),
           pool);
}

}  // namespace hadal::ops
