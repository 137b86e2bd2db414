#include "ops/rms_norm.h"

#include "ops/finite_difference.h"

namespace hadal {
namespace {

using test::expect_gradient;
using test::project;
using test::random_values;
using test::view;

TEST(RmsNorm, GradientsMatchDifferencesOverSeveralChunks) {
  base::ThreadPool pool(2);
  const int64_t m = 70, n = 12;  // more rows than one chunk
  auto x = random_values(m * n, 1), w = random_values(n, 2), direction = random_values(m * n, 3);
  std::vector<float> y(m * n), inv(m), dx(m * n, 0.0f), dw(n, 0.0f);
  const auto loss = [&] {
    ops::rms_norm(view(x, m, n), w.data(), 1e-6, view(y, m, n), inv.data(), pool);
    return project(y, direction);
  };
  loss();
  ops::rms_norm_backward(view(x, m, n), w.data(), inv.data(), view(direction, m, n), view(dx, m, n),
                         dw.data(), pool);
  expect_gradient(x, dx, loss);
  expect_gradient(w, dw, loss);
}

TEST(RmsNorm, WeightGradientHasTheSameBitsForAnyNumberOfThreads) {
  const int64_t m = 300, n = 40;
  auto x = random_values(m * n, 1), w = random_values(n, 2), dy = random_values(m * n, 3);
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    base::ThreadPool pool(threads);
    std::vector<float> y(m * n), inv(m), dx(m * n, 0.0f), dw(n, 0.0f);
    ops::rms_norm(view(x, m, n), w.data(), 1e-6, view(y, m, n), inv.data(), pool);
    ops::rms_norm_backward(view(x, m, n), w.data(), inv.data(), view(dy, m, n), view(dx, m, n), dw.data(),
                           pool);
    results.push_back(dw);
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

}  // namespace
}  // namespace hadal
