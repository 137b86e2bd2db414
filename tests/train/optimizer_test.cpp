#include "train/optimizer.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include "base/random.h"
#include "model/transformer.h"
#include "ops/adamw.h"
#include "train/tiny_model.h"

namespace hadal::train {
namespace {

std::vector<std::vector<float>> values_of(model::Transformer& model) {
  std::vector<std::vector<float>> values;
  for (const auto& p : model.parameters()) values.emplace_back(p.value, p.value + p.size());
  return values;
}

void fill_gradients(model::Transformer& model, uint64_t seed, double scale) {
  base::Random random(seed);
  for (auto& p : model.parameters()) {
    if (p.grad == nullptr) continue;
    for (int64_t i = 0; i < p.size(); ++i) p.grad[i] = static_cast<float>(scale * random.normal());
  }
}

double norm_of(model::Transformer& model) {
  double sum = 0;
  for (auto& p : model.parameters()) {
    if (!p.trainable) continue;
    for (int64_t i = 0; i < p.size(); ++i) sum += static_cast<double>(p.grad[i]) * p.grad[i];
  }
  return std::sqrt(sum);
}

// The formula of Loshchilov and Hutter in double precision, over three steps, beside the real one.
TEST(Optimizer, FollowsTheAdamWFormula) {
  auto model = test::tiny_model(3);
  model->enable_gradients();
  const OptimizerOptions options{
      .beta1 = 0.8, .beta2 = 0.9, .eps = 1e-6, .weight_decay = 0.5, .clip_norm = 0};
  Optimizer optimizer(*model, options);
  base::ThreadPool pool(2);
  const auto start = values_of(*model);
  std::vector<std::vector<double>> w, m, v;
  for (const auto& s : start) {
    w.emplace_back(s.begin(), s.end());
    m.emplace_back(s.size(), 0.0);
    v.emplace_back(s.size(), 0.0);
  }
  for (int step = 1; step <= 3; ++step) {
    const double lr = 0.1 / step;
    fill_gradients(*model, static_cast<uint64_t>(step), 0.3);
    for (size_t k = 0; k < w.size(); ++k) {
      const auto& p = model->parameters()[k];
      if (!p.trainable) continue;
      const bool decays = p.shape.size() == 2 && p.name.find("embed_tokens") == std::string::npos;
      for (size_t i = 0; i < w[k].size(); ++i) {
        const double g = p.grad[i];
        m[k][i] = 0.8 * m[k][i] + 0.2 * g;
        v[k][i] = 0.9 * v[k][i] + 0.1 * g * g;
        const double update =
            m[k][i] / (1 - std::pow(0.8, step)) / (std::sqrt(v[k][i] / (1 - std::pow(0.9, step))) + 1e-6);
        w[k][i] -= lr * (update + (decays ? 0.5 * w[k][i] : 0.0));
      }
    }
    const double expected_norm = norm_of(*model);
    EXPECT_NEAR(optimizer.step(lr, pool), expected_norm, 1e-5 * expected_norm);
  }
  EXPECT_EQ(optimizer.steps(), 3);
  for (size_t k = 0; k < w.size(); ++k) {
    const auto& p = model->parameters()[k];
    for (size_t i = 0; i < w[k].size(); ++i) {
      ASSERT_NEAR(p.value[i], w[k][i], 2e-5) << p.name << " element " << i;
    }
  }
}

TEST(Optimizer, ClippingScalesTheWholeGradient) {
  auto a = test::tiny_model(3);
  auto b = test::tiny_model(3);
  base::ThreadPool pool(1);
  for (auto* model : {a.get(), b.get()}) {
    model->enable_gradients();
    fill_gradients(*model, 1, 1.0);
  }
  const double norm = norm_of(*a);
  // Adam without eps does not see a constant factor, so a large eps makes the clipping visible.
  Optimizer clipped(*a, {.eps = 1.0, .weight_decay = 0, .clip_norm = norm / 4});
  Optimizer scaled(*b, {.eps = 1.0, .weight_decay = 0, .clip_norm = 0});
  for (auto& p : b->parameters()) {
    for (int64_t i = 0; p.grad != nullptr && i < p.size(); ++i) p.grad[i] *= 0.25f;
  }
  EXPECT_NEAR(clipped.step(0.1, pool), norm, 1e-5 * norm);
  scaled.step(0.1, pool);
  const auto x = values_of(*a);
  const auto y = values_of(*b);
  for (size_t k = 0; k < x.size(); ++k) {
    for (size_t i = 0; i < x[k].size(); ++i) ASSERT_NEAR(x[k][i], y[k][i], 1e-6);
  }
}

TEST(Optimizer, TheSameBitsWithAnyNumberOfThreads) {
  for (const MomentType moments : {MomentType::kF32, MomentType::kBF16}) {
    auto a = test::tiny_model(5);
    auto b = test::tiny_model(5);
    base::ThreadPool one(1);
    base::ThreadPool three(3);
    a->enable_gradients();
    b->enable_gradients();
    Optimizer x(*a, {.moments = moments});
    Optimizer y(*b, {.moments = moments});
    for (uint64_t step = 1; step <= 3; ++step) {
      fill_gradients(*a, step, 2.0);
      fill_gradients(*b, step, 2.0);
      EXPECT_EQ(x.step(0.01, one), y.step(0.01, three));
    }
    EXPECT_EQ(values_of(*a), values_of(*b));
  }
}

TEST(Optimizer, Bf16MomentsStayNearFp32Ones) {
  auto a = test::tiny_model(5);
  auto b = test::tiny_model(5);
  base::ThreadPool pool(1);
  a->enable_gradients();
  b->enable_gradients();
  Optimizer x(*a, {.moments = MomentType::kF32});
  Optimizer y(*b, {.moments = MomentType::kBF16});
  EXPECT_EQ(y.first_moment(y.moments()[0]).size() * 2, x.first_moment(x.moments()[0]).size());
  for (uint64_t step = 1; step <= 5; ++step) {
    fill_gradients(*a, step, 0.1);
    fill_gradients(*b, step, 0.1);
    x.step(0.01, pool);
    y.step(0.01, pool);
  }
  const auto p = values_of(*a);
  const auto q = values_of(*b);
  double worst = 0;
  for (size_t k = 0; k < p.size(); ++k) {
    for (size_t i = 0; i < p[k].size(); ++i) worst = std::max(worst, std::fabs(double{p[k][i]} - q[k][i]));
  }
  EXPECT_GT(worst, 0);      // they are rounded
  EXPECT_LT(worst, 0.002);  // five steps of 0.01, each within a few thousandths of its size
}

TEST(Optimizer, AGradientThatIsNotFiniteChangesNothing) {
  auto model = test::tiny_model(5);
  model->enable_gradients();
  base::ThreadPool pool(2);
  Optimizer optimizer(*model, {});
  const auto before = values_of(*model);
  fill_gradients(*model, 1, 1);
  model->parameters()[0].grad[3] = std::numeric_limits<float>::quiet_NaN();
  EXPECT_FALSE(std::isfinite(optimizer.step(0.1, pool)));
  EXPECT_EQ(optimizer.steps(), 0);
  EXPECT_EQ(values_of(*model), before);
}

}  // namespace
}  // namespace hadal::train
