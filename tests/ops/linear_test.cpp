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

TEST(GroupedLinear, EachGroupUsesItsOwnWeightAndEmptyGroupsAreSkipped) {
  base::ThreadPool pool(2);
  const int64_t rows = 9, n = 4, k = 5;
  auto x = random_values(rows * k, 4), w = random_values(3 * n * k, 5),
       direction = random_values(rows * n, 6);
  std::vector<float> y(rows * n), dx(rows * k), dw(3 * n * k, 0.0f);
  std::vector<ops::Group> groups;
  const int64_t ends[] = {6, 6, 9};
  for (int64_t g = 0, begin = 0; g < 3; begin = ends[g++]) {
    groups.push_back({begin, ends[g], tensor::matrix(w.data() + g * n * k, n, k),
                      tensor::matrix(dw.data() + g * n * k, n, k)});
  }
  const auto loss = [&] {
    ops::grouped_linear(view(x, rows, k), groups, view(y, rows, n), pool);
    return project(y, direction);
  };
  ops::grouped_linear_backward(view(direction, rows, n), view(x, rows, k), groups, view(dx, rows, k), pool);
  expect_gradient(x, dx, loss);
  expect_gradient(w, dw, loss);
  for (int64_t i = n * k; i < 2 * n * k; ++i) EXPECT_EQ(dw[static_cast<size_t>(i)], 0);
}

}  // namespace
}  // namespace hadal
