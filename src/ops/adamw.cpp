#include "ops/adamw.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "kernels/rowwise.h"

namespace hadal::ops {
namespace {

constexpr int64_t kChunk = 16384;  // elements: 64 KB of each array, so four arrays fit in a core's L2

struct Chunk {
  const OptimizerTensor* tensor;
  int64_t begin;
  int64_t count;
};

std::vector<Chunk> cut(std::span<const OptimizerTensor> tensors) {
  std::vector<Chunk> chunks;
  for (const OptimizerTensor& tensor : tensors) {
    for (int64_t begin = 0; begin < tensor.size; begin += kChunk) {
      chunks.push_back({&tensor, begin, std::min(kChunk, tensor.size - begin)});
    }
  }
  return chunks;
}

kernels::AdamW constants(const AdamWStep& step, bool decay) {
  kernels::AdamW c{};
  c.lr = static_cast<float>(step.lr);
  c.beta1 = static_cast<float>(step.beta1);
  c.beta2 = static_cast<float>(step.beta2);
  c.eps = static_cast<float>(step.eps);
  c.decay = decay ? static_cast<float>(step.weight_decay) : 0.0f;
  c.bias1 = static_cast<float>(1.0 - std::pow(step.beta1, static_cast<double>(step.step)));
  c.bias2 = static_cast<float>(1.0 - std::pow(step.beta2, static_cast<double>(step.step)));
  c.grad_scale = static_cast<float>(step.grad_scale);
  return c;
}

void update(const kernels::AdamW& c, float* w, const float* g, float* m, float* v, int64_t n) {
  kernels::adamw(c, w, g, m, v, n);
}
void update(const kernels::AdamW& c, float* w, const float* g, uint16_t* m, uint16_t* v, int64_t n) {
  kernels::adamw_bf16(c, w, g, m, v, n);
}

template <typename Moment>
void update_all(const AdamWStep& step, std::span<const OptimizerTensor> tensors, Moment* m, Moment* v,
                base::ThreadPool& pool) {
  const kernels::AdamW with_decay = constants(step, true);
  const kernels::AdamW without_decay = constants(step, false);
  const std::vector<Chunk> chunks = cut(tensors);
  pool.run(static_cast<int64_t>(chunks.size()), [&](int64_t task, int) {
    const Chunk& chunk = chunks[static_cast<size_t>(task)];
    const OptimizerTensor& tensor = *chunk.tensor;
    const int64_t flat = tensor.offset + chunk.begin;
    update(tensor.decay ? with_decay : without_decay, tensor.value + chunk.begin, tensor.grad + chunk.begin,
           m + flat, v + flat, chunk.count);
  });
}

}  // namespace

double gradient_norm(std::span<const OptimizerTensor> tensors, base::ThreadPool& pool) {
  const std::vector<Chunk> chunks = cut(tensors);
  std::vector<double> partial(chunks.size());
  pool.run(static_cast<int64_t>(chunks.size()), [&](int64_t task, int) {
    const Chunk& chunk = chunks[static_cast<size_t>(task)];
    partial[static_cast<size_t>(task)] = kernels::sum_squares(chunk.tensor->grad + chunk.begin, chunk.count);
  });
  double sum = 0;
  for (const double p : partial) sum += p;
  return std::sqrt(sum);
}

void adamw(const AdamWStep& step, std::span<const OptimizerTensor> tensors, float* m, float* v,
           base::ThreadPool& pool) {
  update_all(step, tensors, m, v, pool);
}

void adamw(const AdamWStep& step, std::span<const OptimizerTensor> tensors, uint16_t* m, uint16_t* v,
           base::ThreadPool& pool) {
  update_all(step, tensors, m, v, pool);
}

}  // namespace hadal::ops
