#include "ops/rms_norm.h"

#include "base/error.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {
constexpr int64_t kChunkRows = 64;
}

void rms_norm(ConstMatrix x, const float* weight, double eps, Matrix y, float* inv_rms,
              base::ThreadPool& pool) {
  HADAL_CHECK(x.rows == y.rows && x.cols == y.cols);
  base::parallel_for(pool, x.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const float inverse = kernels::rms_norm(x.row(i), weight, static_cast<float>(eps), y.row(i), x.cols);
      if (inv_rms != nullptr) inv_rms[i] = inverse;
    }
  });
}

void rms_norm_backward(ConstMatrix x, const float* weight, const float* inv_rms, ConstMatrix dy, Matrix dx,
                       float* dweight, base::ThreadPool& pool) {
  HADAL_CHECK(x.rows == dy.rows && x.cols == dy.cols && dx.rows == x.rows && dx.cols == x.cols);
  const int64_t chunks = (x.rows + kChunkRows - 1) / kChunkRows;
  tensor::Buffer partial(chunks * x.cols);  // [chunks, N]
  partial.zero();
  base::parallel_for(pool, x.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    float* dw = partial.data() + begin / kChunkRows * x.cols;
    for (int64_t i = begin; i < end; ++i) {
      kernels::rms_norm_backward(x.row(i), weight, inv_rms[i], dy.row(i), dx.row(i), dw, x.cols);
    }
  });
  if (dweight == nullptr) return;
  for (int64_t c = 0; c < chunks; ++c) kernels::add(partial.data() + c * x.cols, dweight, x.cols);
}

}  // namespace hadal::ops
