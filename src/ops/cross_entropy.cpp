#include "ops/cross_entropy.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

void cross_entropy(tensor::Matrix logits, std::span<const int32_t> targets, float scale, bool with_gradient,
                   float* losses, base::ThreadPool& pool) {
  HADAL_CHECK(static_cast<int64_t>(targets.size()) == logits.rows);
  base::parallel_for(pool, logits.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      const int32_t target = targets[static_cast<size_t>(i)];
      float* row = logits.row(i);
      if (target < 0) {
        losses[i] = 0;
        if (with_gradient) std::fill_n(row, logits.cols, 0.0f);
        continue;
      }
      losses[i] = kernels::cross_entropy(row, logits.cols, target, scale, with_gradient ? row : nullptr);
    }
  });
}

}  // namespace hadal::ops
