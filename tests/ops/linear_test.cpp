#include "ops/linear.h"

#include "ops/finite_difference.h"

namespace hadal {
namespace {

using test::expect_gradient;
using test::project;
using test::random_values;
using test::view;

TEST(Linear, GradientsMatchDifferences) {
  base::ThreadPool pool(2);
  const int64_t m = 5, n = 7, k = 6;
  auto x = random_values(m * k, 1), w = random_values(n * k, 2), direction = random_values(m * n, 3);
  std::vector<float> y(m * n), dx(m * k), dw(n * k, 0.0f);
  const auto loss = [&] {
    ops::linear(view(x, m, k), view(w, n, k), view(y, m, n), pool);
    return project(y, direction);
  };
  ops::linear_backward_input(view(direction, m, n), view(w, n, k), view(dx, m, k), pool);
  ops::linear_backward_weight(view(direction, m, n), view(x, m, k), view(dw, n, k), pool);
  expect_gradient(x, dx, loss);
  expect_gradient(w, dw, loss);
}

TEST(Linear, AccumulateAddsToWhatIsThere) {
  base::ThreadPool pool(1);
  std::vector<float> x{1, 2}, w{3, 4}, y{10};
  ops::linear(view(x, 1, 2), view(w, 1, 2), view(y, 1, 1), pool, /*accumulate=*/true);
  EXPECT_EQ(y[0], 21);
}

}  // namespace
}  // namespace hadal
