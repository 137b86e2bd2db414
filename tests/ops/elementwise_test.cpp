// SwiGLU, embedding and cross-entropy: gradients against differences.
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/finite_difference.h"
#include "ops/swiglu.h"

namespace hadal {
namespace {

using test::expect_gradient;
using test::project;
using test::random_values;
using test::view;

TEST(Swiglu, GradientMatchesDifferencesAlsoInPlace) {
  base::ThreadPool pool(2);
  const int64_t m = 4, n = 9;
  auto gate_up = random_values(m * 2 * n, 1), direction = random_values(m * n, 2);
  std::vector<float> y(m * n);
  const auto loss = [&] {
    ops::swiglu(view(gate_up, m, 2 * n), view(y, m, n), pool);
    return project(y, direction);
  };
  auto in_place = gate_up;
  ops::swiglu_backward(view(in_place, m, 2 * n), view(direction, m, n), view(in_place, m, 2 * n), pool);
  expect_gradient(gate_up, in_place, loss);
}

TEST(Embedding, GradientAddsUpRepeatedTokens) {
  base::ThreadPool pool(2);
  const std::vector<int32_t> ids{2, 0, 2};
  std::vector<float> dout{1, 2, 3, 4, 5, 6}, dtable(8, 0.0f);
  ops::embedding_backward(view(dout, 3, 2), ids, view(dtable, 4, 2), pool);
  EXPECT_EQ(dtable, (std::vector<float>{3, 4, 0, 0, 6, 8, 0, 0}));
}

TEST(CrossEntropy, ValueGradientAndIgnoredTargets) {
  base::ThreadPool pool(2);
  const int64_t m = 3, n = 11;
  const std::vector<int32_t> targets{4, -1, 10};
  auto logits = random_values(m * n, 1, 2);
  std::vector<float> losses(m);
  const auto loss = [&] {
    auto copy = logits;
    ops::cross_entropy(view(copy, m, n), targets, 1, false, losses.data(), pool);
    return static_cast<double>(losses[0]) + losses[1] + losses[2];
  };
  loss();
  EXPECT_EQ(losses[1], 0);
  auto gradient = logits;
  ops::cross_entropy(view(gradient, m, n), targets, 1, true, losses.data(), pool);
  for (int64_t j = 0; j < n; ++j) EXPECT_EQ(gradient[static_cast<size_t>(n + j)], 0);
  expect_gradient(logits, gradient, loss);
}

}  // namespace
}  // namespace hadal
