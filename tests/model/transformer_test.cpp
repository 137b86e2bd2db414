// The whole model's gradient against differences (all three losses together), and its determinism.
#include "model/transformer.h"

#include "model/tiny_models.h"
#include "ops/finite_difference.h"

namespace hadal {
namespace {

std::vector<int32_t> some_tokens(int64_t n) {
  base::Random random(5);
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (auto& t : tokens) t = static_cast<int32_t>(random.below(40));
  return tokens;
}

model::TokenBatch batch_of(const std::vector<int32_t>& tokens, int64_t rows) {
  model::TokenBatch batch;
  batch.rows = rows;
  batch.length = static_cast<int64_t>(tokens.size()) / rows - 1;
  batch.tokens = tokens;
  return batch;
}

TEST(Transformer, GradientOfAllLossesMatchesDifferences) {
  base::ThreadPool pool(2);
  const auto m = model::Transformer::create(test::tiny_deepseek(), 3, 0.25);
  m->enable_gradients();
  const auto tokens = some_tokens(2 * 9);
  const auto batch = batch_of(tokens, 2);
  model::LossOptions options;
  options.mtp_weight = 0.3f;
  options.sequence_balance_alpha = 0.05f;
  m->forward_backward(batch, options, pool);
  const auto loss = [&] {
    const auto r = m->evaluate(batch, options, pool);
    return r.loss + 0.3 * r.mtp_loss + r.balance_loss;
  };
  for (auto& p : m->parameters()) {
    if (!p.trainable) continue;
    double largest = 0;
    for (int64_t i = 0; i < p.size(); ++i)
      largest = std::max(largest, std::fabs(static_cast<double>(p.grad[i])));
    const int64_t stride = std::max<int64_t>(1, p.size() / 7);
    for (int64_t i = 0; i < p.size(); i += stride) {
      const float kept = p.value[i];
      p.value[i] = kept + 2e-3f;
      const double up = loss();
      p.value[i] = kept - 2e-3f;
      const double down = loss();
      p.value[i] = kept;
      EXPECT_NEAR((up - down) / 4e-3, p.grad[i], 2e-2 * largest + 2e-4) << p.name << " element " << i;
    }
  }
}

TEST(Transformer, GradientScaleAndAccumulation) {
  base::ThreadPool pool(1);
  const auto tokens = some_tokens(2 * 9);
  const auto gradient = [&](float scale, int times) {
    const auto m = model::Transformer::create(test::tiny_deepseek(), 3, 0.25);
    m->enable_gradients();
    model::LossOptions options;
    options.gradient_scale = scale;
    for (int i = 0; i < times; ++i) m->forward_backward(batch_of(tokens, 2), options, pool);
    const auto& p = m->parameters().front();
    return std::vector<float>(p.grad, p.grad + p.size());
  };
  const auto once = gradient(1, 1), twice = gradient(0.5f, 2);
  for (size_t i = 0; i < once.size(); ++i) EXPECT_NEAR(once[i], twice[i], 1e-6);
}

TEST(Transformer, SameBitsForAnyNumberOfThreads) {
  const auto tokens = some_tokens(4 * 71);
  std::vector<std::vector<float>> gradients;
  for (const int threads : {1, 2, 3}) {
    base::ThreadPool pool(threads);
    const auto m = model::Transformer::create(test::tiny_deepseek(), 3, 0.25);
    m->enable_gradients();
    model::LossOptions options;
    options.mtp_weight = 0.3f;
    options.sequence_balance_alpha = 0.05f;
    m->forward_backward(batch_of(tokens, 4), options, pool);
    std::vector<float> all;
    for (const auto& p : m->parameters()) all.insert(all.end(), p.grad, p.grad + p.size());
    gradients.push_back(std::move(all));
  }
  EXPECT_EQ(gradients[0], gradients[1]);
  EXPECT_EQ(gradients[0], gradients[2]);
}

TEST(Transformer, ASequencesLossDoesNotDependOnItsNeighbours) {
  base::ThreadPool pool(2);
  const auto m = model::Transformer::create(test::tiny_deepseek(), 3, 0.25);
  const auto tokens = some_tokens(3 * 21);
  std::vector<float> together, alone;
  m->evaluate(batch_of(tokens, 3), {}, pool, &together);
  const std::vector<int32_t> second(tokens.begin() + 21, tokens.begin() + 42);
  m->evaluate(batch_of(second, 1), {}, pool, &alone);
  EXPECT_EQ(alone, std::vector<float>(together.begin() + 20, together.begin() + 40));
}

TEST(Transformer, RejectsTokensOutsideTheVocabulary) {
  base::ThreadPool pool(1);
  const auto m = model::Transformer::create(test::tiny_deepseek(), 3, 0.25);
  const std::vector<int32_t> tokens{1, 2, 40};
  EXPECT_THROW(m->evaluate(batch_of(tokens, 1), {}, pool), Error);
}

}  // namespace
}  // namespace hadal
