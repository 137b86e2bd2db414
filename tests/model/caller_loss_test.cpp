// Losses of the caller's own: chosen targets, weights, log-probabilities and logits.
#include <gtest/gtest.h>

#include <cmath>

#include "model/tiny_models.h"
#include "model/transformer.h"

namespace hadal {
namespace {

using test::batch_of;
using test::expect_gradients;
using test::tiny_deepseek;
using test::tiny_qwen3;
using test::tokens_below;

struct Fixture {
  base::ThreadPool pool{2};
  std::unique_ptr<model::Transformer> model;
  std::vector<int32_t> tokens = tokens_below(40, 2 * 9);
  std::vector<int32_t> targets;  // of half of the positions, and not the next tokens
  std::vector<float> weights;

  explicit Fixture(const model::ModelConfig& config) : model(model::Transformer::create(config, 3, 0.25)) {
    model->enable_gradients();
    for (int i = 0; i < 16; ++i) {
      targets.push_back(i % 2 == 0 ? -1 : (i * 7) % 40);
      weights.push_back(0.25f * static_cast<float>(i % 5));
    }
  }
  model::TokenBatch batch(bool weighted) const {
    auto b = batch_of(tokens, 2);
    b.targets = targets;
    if (weighted) b.weights = weights;
    return b;
  }
  std::vector<float> gradient() const {
    std::vector<float> all;
    for (const auto& p : model->parameters()) all.insert(all.end(), p.grad, p.grad + p.size());
    return all;
  }
};

void expect_near(const std::vector<float>& a, const std::vector<float>& b, double bound) {
  ASSERT_EQ(a.size(), b.size());
  double worst = 0;
  for (size_t i = 0; i < a.size(); ++i) worst = std::max(worst, std::fabs(static_cast<double>(a[i]) - b[i]));
  EXPECT_LE(worst, bound);
}

TEST(CallerLoss, TheNextTokensAsTargetsAreTheUsualLoss) {
  Fixture f(tiny_qwen3());
  const auto plain = batch_of(f.tokens, 2);
  const double loss = f.model->forward_backward(plain, {}, f.pool).loss;
  const auto usual = f.gradient();
  f.model->zero_gradients(f.pool);
  for (int r = 0; r < 2; ++r) {
    for (int i = 0; i < 8; ++i)
      f.targets[static_cast<size_t>(r * 8 + i)] = f.tokens[static_cast<size_t>(r * 9 + i + 1)];
  }
  EXPECT_DOUBLE_EQ(f.model->forward_backward(f.batch(false), {}, f.pool).loss, loss);
  EXPECT_EQ(f.gradient(), usual);
}

TEST(CallerLoss, TargetsAndWeightsMatchDifferences) {
  for (const bool weighted : {false, true}) {
    Fixture f(tiny_deepseek());
    model::LossOptions options;
    options.mtp_weight = 0.3f;
    f.model->forward_backward(f.batch(weighted), options, f.pool);
    expect_gradients(f.model->parameters(), [&] {
      const auto r = f.model->evaluate(f.batch(weighted), options, f.pool);
      return r.loss + 0.3 * r.mtp_loss;
    });
  }
}

TEST(CallerLoss, MicroBatchesWithACommonDivisorAddUp) {
  Fixture f(tiny_qwen3());
  const double whole = f.model->forward_backward(f.batch(true), {}, f.pool).loss;
  const auto expected = f.gradient();
  f.model->zero_gradients(f.pool);
  double sum = 0;
  model::LossOptions options;
  for (size_t i = 0; i < f.weights.size(); ++i) options.loss_weight += f.targets[i] < 0 ? 0 : f.weights[i];
  for (size_t row = 0; row < 2; ++row) {
    model::TokenBatch part{1, 8, std::span(f.tokens).subspan(9 * row, 9), {}};
    part.targets = std::span(f.targets).subspan(8 * row, 8);
    part.weights = std::span(f.weights).subspan(8 * row, 8);
    sum += f.model->forward_backward(part, options, f.pool).loss;
  }
  EXPECT_NEAR(sum, whole, 1e-6);
  expect_near(f.gradient(), expected, 1e-6);
}

TEST(CallerLoss, LogprobsAndTheirGradient) {
  Fixture f(tiny_deepseek());
  std::vector<float> per_token, logprobs, entropies;
  f.model->evaluate(f.batch(false), {}, f.pool, &per_token);
  f.model->forward(f.batch(false), f.pool, logprobs, &entropies);
  for (size_t i = 0; i < logprobs.size(); ++i) {
    EXPECT_FLOAT_EQ(logprobs[i], -per_token[i]);
    EXPECT_EQ(entropies[i] > 0 && entropies[i] < std::log(40.0), f.targets[i] >= 0) << entropies[i];
  }
  // A loss with a sign and a size of its own for each token.
  std::vector<float> d(logprobs.size());
  for (size_t i = 0; i < d.size(); ++i) d[i] = 0.3f * (static_cast<float>(i % 4) - 1.5f);
  f.model->backward(d, {}, f.pool);
  // The MTP module has no part in it.
  std::vector<model::Parameter> main;
  for (const auto& p : f.model->parameters()) {
    if (!p.name.starts_with("model.layers.2.")) main.push_back(p);
  }
  expect_gradients(main, [&] {
    std::vector<float> values;
    f.model->evaluate(f.batch(false), {}, f.pool, &values);
    double loss = 0;
    for (size_t i = 0; i < values.size(); ++i) loss -= static_cast<double>(d[i]) * values[i];
    return loss;
  });
}

TEST(CallerLoss, TheGradientOfLogitsIsTheCallers) {
  Fixture f(tiny_qwen3());
  const double loss = f.model->forward_backward(f.batch(false), {}, f.pool).loss;
  const auto expected = f.gradient();
  f.model->zero_gradients(f.pool);
  std::vector<float> logprobs;
  f.model->forward(f.batch(false), f.pool, logprobs);
  // Cross-entropy by hand: softmax minus one-hot.
  double sum = 0;
  std::vector<int64_t> seen;
  f.model->visit_logits(
      [&](std::span<const int64_t> positions, tensor::Matrix logits) {
        seen.insert(seen.end(), positions.begin(), positions.end());
        EXPECT_EQ(logits.cols, 40);
      },
      f.pool);
  f.model->backward_logits(
      [&](std::span<const int64_t> positions, tensor::Matrix logits) {
        for (size_t i = 0; i < positions.size(); ++i) {
          float* row = logits.row(static_cast<int64_t>(i));
          const auto target = f.targets[static_cast<size_t>(positions[i])];
          double total = 0;
          for (int64_t j = 0; j < logits.cols; ++j) total += std::exp(static_cast<double>(row[j]));
          sum += std::log(total) - row[target];
          for (int64_t j = 0; j < logits.cols; ++j) {
            const double p = std::exp(static_cast<double>(row[j])) / total;
            row[j] = static_cast<float>((p - (j == target ? 1 : 0)) / 8);
          }
        }
      },
      {}, f.pool);
  EXPECT_EQ(seen, (std::vector<int64_t>{1, 3, 5, 7, 9, 11, 13, 15}));
  EXPECT_NEAR(sum / 8, loss, 1e-5);
  expect_near(f.gradient(), expected, 1e-6);
}

TEST(CallerLoss, ABatchThatPredictsNothingHasNoLoss) {
  Fixture f(tiny_qwen3());
  std::fill(f.targets.begin(), f.targets.end(), -1);
  EXPECT_EQ(f.model->forward_backward(f.batch(false), {}, f.pool).loss, 0);
  for (const float g : f.gradient()) EXPECT_EQ(g, 0);
}

TEST(CallerLoss, RefusesTargetsOutsideTheVocabulary) {
  Fixture f(tiny_qwen3());
  f.targets[3] = 40;
  EXPECT_THROW(f.model->evaluate(f.batch(false), {}, f.pool), Error);
}

}  // namespace
}  // namespace hadal
