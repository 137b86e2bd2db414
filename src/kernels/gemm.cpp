#include "kernels/gemm.h"

#include <algorithm>

namespace hadal::kernels {

// Plain loops: the first version, to be replaced by packed Highway kernels.
void gemm(const Gemm& g) {
  for (int64_t i = 0; i < g.m; ++i) {
    float* c = g.c + i * g.c_row;
    if (!g.accumulate) std::fill(c, c + g.n, 0.0f);
    for (int64_t p = 0; p < g.k; ++p) {
      const float a = g.a[i * g.a_row + p * g.a_col];
      for (int64_t j = 0; j < g.n; ++j) c[j] += a * g.b[p * g.b_row + j * g.b_col];
    }
  }
}

void gemm(std::span<const Gemm> problems, base::ThreadPool& pool) {
  pool.run(static_cast<int64_t>(problems.size()),
           [&](int64_t task, int) { gemm(problems[static_cast<size_t>(task)]); });
}

}  // namespace hadal::kernels
