#include "ops/bias.h"

#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {
constexpr int64_t kChunkRows = 64;
}

void add_bias(const float* bias, tensor::Matrix y, base::ThreadPool& pool) {
  base::parallel_for(pool, y.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) kernels::add(bias, y.row(i), y.cols);
  });
}

void bias_backward(tensor::ConstMatrix dy, float* dbias, base::ThreadPool& pool) {
  const int64_t chunks = (dy.rows + kChunkRows - 1) / kChunkRows;
  tensor::Buffer partial(chunks * dy.cols);  // [chunks, N]
  partial.zero();
  base::parallel_for(pool, dy.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    float* sum = partial.data() + begin / kChunkRows * dy.cols;
    for (int64_t i = begin; i < end; ++i) kernels::add(dy.row(i), sum, dy.cols);
  });
  for (int64_t c = 0; c < chunks; ++c) kernels::add(partial.data() + c * dy.cols, dbias, dy.cols);
}

}  // namespace hadal::ops
