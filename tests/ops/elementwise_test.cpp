// SwiGLU, embedding, cross-entropy and the expert permutation: gradients against differences.
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/expert_permute.h"
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

TEST(ExpertOrder, SlotsAreSortedByExpertThenToken) {
  const std::vector<int32_t> chosen{2, 0, 0, 1, 2, 0};  // 3 tokens, 2 choices each
  const auto order = ops::sort_by_expert(chosen, 3, 2, 4);
  EXPECT_EQ(order.offsets, (std::vector<int64_t>{0, 3, 4, 6, 6}));
  EXPECT_EQ(order.slot_token, (std::vector<int32_t>{0, 1, 2, 1, 0, 2}));
  EXPECT_EQ(order.token_slot, (std::vector<int32_t>{4, 0, 1, 3, 5, 2}));
}

TEST(ExpertPermute, DispatchAndCombineGradientsMatchDifferences) {
  base::ThreadPool pool(2);
  const int64_t tokens = 5, top_k = 2, hidden = 3;
  const std::vector<int32_t> chosen{2, 0, 0, 1, 2, 1, 1, 0, 2, 0};
  const auto order = ops::sort_by_expert(chosen, tokens, top_k, 3);
  auto x = random_values(tokens * hidden, 1), weights = random_values(tokens * top_k, 2);
  auto direction = random_values(tokens * hidden, 3);
  std::vector<float> slots(tokens * top_k * hidden), out(tokens * hidden);
  const auto loss = [&] {
    std::fill(out.begin(), out.end(), 0.0f);
    ops::dispatch(order, view(x, tokens, hidden), view(slots, tokens * top_k, hidden), pool);
    ops::combine(order, view(slots, tokens * top_k, hidden), view(weights, tokens, top_k),
                 view(out, tokens, hidden), pool);
    return project(out, direction);
  };
  loss();
  std::vector<float> dslots(slots.size()), dweights(weights.size()), dx(x.size(), 0.0f);
  ops::combine_backward(order, view(slots, tokens * top_k, hidden), view(weights, tokens, top_k),
                        view(direction, tokens, hidden), view(dslots, tokens * top_k, hidden),
                        view(dweights, tokens, top_k), pool);
  ops::dispatch_backward(order, view(dslots, tokens * top_k, hidden), view(dx, tokens, hidden), pool);
  expect_gradient(x, dx, loss);
  expect_gradient(weights, dweights, loss);
}

}  // namespace
}  // namespace hadal
