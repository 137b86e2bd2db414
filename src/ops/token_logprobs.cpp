#include "ops/token_logprobs.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {

constexpr int64_t kChunkRows = 16;

// H = ln(sum exp x) - sum p x; `row` becomes the probabilities.
float entropy(const float* logits, float* row, int64_t n) {
  std::copy_n(logits, n, row);
  const float lse = kernels::softmax(row, n);
  return lse - kernels::dot(row, logits, n);
}

}  // namespace

void token_logprobs(tensor::ConstMatrix logits, std::span<const int32_t> targets, float* logprobs,
                    float* entropies, base::ThreadPool& pool) {
  HADAL_CHECK(static_cast<int64_t>(targets.size()) == logits.rows);
  base::parallel_for(pool, logits.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    tensor::Buffer probabilities(entropies != nullptr ? logits.cols : 0);
    for (int64_t i = begin; i < end; ++i) {
      const int32_t target = targets[static_cast<size_t>(i)];
      logprobs[i] = target < 0 ? 0 : -kernels::cross_entropy(logits.row(i), logits.cols, target, 0, nullptr);
      if (entropies == nullptr) continue;
      entropies[i] = target < 0 ? 0 : entropy(logits.row(i), probabilities.data(), logits.cols);
    }
  });
}

void token_logprobs_backward(tensor::Matrix logits, std::span<const int32_t> targets,
                             std::span<const float> d_logprobs, base::ThreadPool& pool) {
  HADAL_CHECK(static_cast<int64_t>(targets.size()) == logits.rows && d_logprobs.size() == targets.size());
  base::parallel_for(pool, logits.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int32_t target = targets[static_cast<size_t>(i)];
      const float d = d_logprobs[static_cast<size_t>(i)];
      float* row = logits.row(i);
      if (target < 0 || d == 0) {
        std::fill_n(row, logits.cols, 0.0f);
        continue;
      }
      kernels::cross_entropy(row, logits.cols, target, -d, row);
    }
  });
}

}  // namespace hadal::ops
