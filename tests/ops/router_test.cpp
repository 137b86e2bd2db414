#include "ops/router.h"

#include <algorithm>

#include "ops/finite_difference.h"

namespace hadal {
namespace {

using test::expect_gradient;
using test::project;
using test::random_values;
using test::view;

ops::RouterOptions v3_options() {
  ops::RouterOptions o;
  o.sigmoid = true;
  o.experts = 8;
  o.top_k = 3;
  o.groups = 4;
  o.top_groups = 2;
  o.group_sum_of_two = true;
  o.normalize = true;
  o.scale = 2.5f;
  return o;
}

ops::RouterOptions v2_options() {
  ops::RouterOptions o;
  o.experts = 8;
  o.top_k = 3;
  o.scale = 16;
  return o;
}

TEST(Router, BiasMovesTheChoiceButNotTheWeight) {
  base::ThreadPool pool(1);
  ops::RouterOptions o;
  o.sigmoid = true;
  o.experts = 3;
  o.top_k = 1;
  std::vector<float> logits{2, 1, 0}, bias{0, 0, 5};
  ops::Routing routing;
  ops::route(o, view(logits, 1, 3), routing, pool);
  EXPECT_EQ(routing.experts[0], 0);
  o.bias = bias.data();
  ops::route(o, view(logits, 1, 3), routing, pool);
  EXPECT_EQ(routing.experts[0], 2);
  EXPECT_NEAR(routing.weights.data()[0], 0.5, 1e-6);  // sigmoid(0), without the bias
}

TEST(Router, GroupsAreRankedByTheirBestOrBestTwo) {
  base::ThreadPool pool(1);
  ops::RouterOptions o;
  o.sigmoid = true;
  o.experts = 4;
  o.top_k = 2;
  o.groups = 2;
  o.top_groups = 1;
  std::vector<float> logits{3, -9, 1, 1};  // the first group has the best expert, the second the best two
  ops::Routing routing;
  ops::route(o, view(logits, 1, 4), routing, pool);
  EXPECT_EQ(routing.experts, (std::vector<int32_t>{0, 1}));
  o.group_sum_of_two = true;
  ops::route(o, view(logits, 1, 4), routing, pool);
  EXPECT_EQ(routing.experts, (std::vector<int32_t>{2, 3}));
}

TEST(Router, NormalizedWeightsSumToTheScale) {
  base::ThreadPool pool(1);
  auto logits = random_values(5 * 8, 1);
  ops::Routing routing;
  ops::route(v3_options(), view(logits, 5, 8), routing, pool);
  for (int t = 0; t < 5; ++t) {
    const float* w = routing.weights.data() + t * 3;
    EXPECT_NEAR(w[0] + w[1] + w[2], 2.5, 1e-5);
  }
}

void check_gradient(const ops::RouterOptions& o) {
  base::ThreadPool pool(2);
  const int64_t tokens = 6;
  auto logits = random_values(tokens * o.experts, 7, 2), direction = random_values(tokens * o.top_k, 8);
  ops::Routing routing;
  const auto loss = [&] {
    ops::route(o, view(logits, tokens, o.experts), routing, pool);
    double sum = 0;
    for (size_t i = 0; i < direction.size(); ++i) {
      sum += static_cast<double>(routing.weights.data()[i]) * direction[i];
    }
    return sum;
  };
  loss();
  std::vector<float> dlogits(logits.size());
  ops::route_backward(o, routing, view(direction, tokens, o.top_k), view(dlogits, tokens, o.experts), pool);
  expect_gradient(logits, dlogits, loss, 1e-3f);  // small steps: a token must not change its experts
}

TEST(Router, GradientOfSigmoidGateMatchesDifferences) { check_gradient(v3_options()); }
TEST(Router, GradientOfSoftmaxGateMatchesDifferences) { check_gradient(v2_options()); }

TEST(SequenceBalanceLoss, IsAlphaWhenEveryExpertGetsItsShare) {
  base::ThreadPool pool(1);
  ops::RouterOptions o;
  o.sigmoid = true;
  o.experts = 4;
  o.top_k = 1;
  std::vector<float> logits(16, -2.0f);
  for (size_t t = 0; t < 4; ++t) logits[t * 4 + t] = 2.0f;  // token t likes expert t
  ops::Routing routing;
  ops::route(o, view(logits, 4, 4), routing, pool);
  EXPECT_NEAR(ops::sequence_balance_loss(o, routing, 4, 0.5f, 1, {}, pool), 0.5, 1e-6);
}

void check_balance_gradient(ops::RouterOptions o) {
  base::ThreadPool pool(2);
  const int64_t tokens = 12, length = 6;
  auto logits = random_values(tokens * o.experts, 9, 2);
  ops::Routing routing;
  const auto loss = [&] {
    ops::route(o, view(logits, tokens, o.experts), routing, pool);
    return ops::sequence_balance_loss(o, routing, length, 0.7f, 1, {}, pool);
  };
  loss();
  std::vector<float> dlogits(logits.size(), 0.0f);
  ops::sequence_balance_loss(o, routing, length, 0.7f, 1, view(dlogits, tokens, o.experts), pool);
  expect_gradient(logits, dlogits, loss, 1e-3f, 2e-2);
}

TEST(SequenceBalanceLoss, GradientMatchesDifferencesSigmoid) { check_balance_gradient(v3_options()); }
TEST(SequenceBalanceLoss, GradientMatchesDifferencesSoftmax) { check_balance_gradient(v2_options()); }

}  // namespace
}  // namespace hadal
