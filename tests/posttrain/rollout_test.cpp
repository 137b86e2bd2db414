#include "posttrain/rollout/rollout.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "posttrain/base_corpus.h"
#include "posttrain/grpo/packed_answers.h"
#include "posttrain/grpo/update.h"
#include "train/export_model.h"
#include "train/recipe.h"
#include "train/tiny_run.h"

namespace hadal::posttrain {
namespace {

class RolloutTest : public testing::Test {
 protected:
  std::vector<std::vector<text::TokenId>> prompts(size_t count, size_t tokens) const {
    std::vector<std::vector<text::TokenId>> out(count);
    for (size_t p = 0; p < count; ++p) {
      for (size_t t = 0; t < tokens; ++t) out[p].push_back(static_cast<int>(5 + (p * 37 + t * 11) % 250));
    }
    return out;
  }

  // The largest difference between the sampler's log-probabilities and the trainer's.
  double difference(const std::vector<std::vector<text::TokenId>>& asked,
                    const std::vector<std::vector<Answer>>& answers) {
    UpdateBatch batch;
    for (size_t p = 0; p < asked.size(); ++p) {
      for (const Answer& answer : answers[p]) {
        batch.trajectories.push_back({asked[p], &answer});
        batch.advantages.push_back(1);
        batch.weights.push_back(1);
      }
    }
    model_->zero_gradients(pool_);
    return add_policy_gradient(*model_, nullptr, batch, {.loss = {.kl = 0}}, pool_).diff_max;
  }

  // As an optimizer would.
  void change_weights() {
    for (model::Parameter& p : model_->parameters()) {
      for (int64_t i = 0; i < p.size(); ++i) p.value[i] *= 1.0f + 0.1f * std::sin(static_cast<float>(i));
    }
  }

  // A model with exactly the tokenizer's ids.
  void SetUp() override {
    posttrain::BaseCorpusRecipe corpus;
    corpus.output = folder_ / "data";
    corpus.documents = 300;
    posttrain::build_base_corpus(corpus);
    const int32_t ids = text::Tokenizer::load(corpus.output + "/tokenizer.json")->vocab_size();
    const train::Recipe recipe =
        train::parse_recipe(test::tiny_recipe(corpus.output), "tiny.toml",
                            {fmt::format("model.vocab_size={}", ids), "model.max_position_embeddings=256"});
    model_ = model::Transformer::create(recipe.model, 1, 0.1);
    train::export_model(folder_.path(), *model_,
                        {.tokenizer = corpus.output + "/tokenizer.json", .bf16 = false});
    model_->enable_gradients();
  }

  test::TemporaryFolder folder_;
  std::unique_ptr<model::Transformer> model_;
  base::ThreadPool pool_{1};
};

TEST_F(RolloutTest, LogProbabilitiesAreTheTrainersToRounding) {
  Rollout rollout(*model_, folder_.path(), {.max_running = 4});
  const auto asked = prompts(3, 7);
  const auto answers = rollout.sample(asked, {.answers = 4, .max_tokens = 40, .seed = 3});
  for (const auto& group : answers) {
    for (const Answer& answer : group) ASSERT_EQ(answer.tokens.size(), answer.logprobs.size());
  }
  EXPECT_NE(answers[0][0].tokens, answers[0][1].tokens);
  EXPECT_LT(difference(asked, answers), 1e-4);
}

TEST_F(RolloutTest, WeightsThatChangedAreUsedAndNoPageOfBefore) {
  Rollout rollout(*model_, folder_.path(), {.max_running = 4});
  const auto asked = prompts(2, 100);  // a full page and a part
  RolloutCost before, again, after;
  const auto first = rollout.sample(asked, {.answers = 2, .max_tokens = 20}, &before);
  rollout.sample(asked, {.answers = 2, .max_tokens = 20}, &again);
  EXPECT_EQ(again.cached_tokens, 4 * 64);  // the pages of before
  change_weights();
  rollout.weights_changed();
  const auto second = rollout.sample(asked, {.answers = 2, .max_tokens = 20}, &after);
  EXPECT_LE(after.cached_tokens, 2 * 64);  // of the other answer to the same prompt at most
  EXPECT_NE(first[0][0].logprobs, second[0][0].logprobs);
  EXPECT_LT(difference(asked, second), 1e-4);
}

TEST_F(RolloutTest, AnswersDependOnTheSeedAndNotOnWhatRunsBeside) {
  Rollout alone(*model_, folder_.path(), {.max_running = 1});
  Rollout together(*model_, folder_.path(), {.max_running = 8, .threads = 2});
  const auto asked = prompts(3, 9);
  const SampleOptions options{.answers = 3, .max_tokens = 24, .seed = 11};
  const auto a = alone.sample(asked, options), b = together.sample(asked, options);
  for (size_t p = 0; p < 3; ++p) {
    for (size_t i = 0; i < 3; ++i) {
      EXPECT_EQ(a[p][i].tokens, b[p][i].tokens);
      EXPECT_EQ(a[p][i].logprobs, b[p][i].logprobs);
    }
  }
  const auto c = alone.sample(asked, {.answers = 3, .max_tokens = 24, .seed = 12});
  EXPECT_NE(a[0][0].tokens, c[0][0].tokens);
}

TEST_F(RolloutTest, AnAnswerEndsWithTheStopAndHoldsIt) {
  Rollout rollout(*model_, folder_.path(), {.max_running = 4});
  const auto asked = prompts(1, 7);
  const auto whole = rollout.sample(asked, {.answers = 1, .max_tokens = 40, .seed = 3})[0][0];
  const auto plain =
      std::find_if(whole.text.begin(), whole.text.end(), [](char c) { return c > ' ' && c < 127; });
  ASSERT_NE(plain, whole.text.end());
  const std::string stop(1, *plain);
  const auto cut = rollout.sample(asked, {.answers = 1, .max_tokens = 40, .seed = 3, .stop = stop})[0][0];
  EXPECT_EQ(cut.text, whole.text.substr(0, whole.text.find(stop) + stop.size()));
  EXPECT_TRUE(cut.ended);
  EXPECT_LT(cut.tokens.size(), whole.tokens.size());
  EXPECT_EQ(cut.tokens.size(), cut.logprobs.size());
  EXPECT_TRUE(std::equal(cut.tokens.begin(), cut.tokens.end(), whole.tokens.begin()));
  EXPECT_FALSE(cut.opened);
  EXPECT_TRUE(rollout.opens_reasoning(rollout.tokenizer().encode("2+2<think>\n", true)));
}

TEST_F(RolloutTest, APromptThatDoesNotFitIsAnErrorAndTheRolloutGoesOn) {
  Rollout rollout(*model_, folder_.path(), {.context_tokens = 32});
  auto asked = prompts(2, 8);
  asked[1].resize(40, 5);
  try {
    rollout.sample(asked, {.answers = 2, .max_tokens = 8});
    ADD_FAILURE() << "it fits";
  } catch (const Error& e) {
    EXPECT_EQ(e.code(), ErrorCode::kBadInput) << e.what();
  }
  asked.pop_back();
  EXPECT_EQ(rollout.sample(asked, {.answers = 2, .max_tokens = 8})[0].size(), 2u);
}

// d loss / d weight of one GRPO minibatch, by finite differences through the whole model.
TEST_F(RolloutTest, PolicyGradientMatchesFiniteDifferences) {
  Rollout rollout(*model_, folder_.path(), {});
  const auto asked = prompts(2, 5);
  auto answers = rollout.sample(asked, {.answers = 2, .max_tokens = 6, .seed = 5});
  UpdateBatch batch;
  for (size_t p = 0; p < 2; ++p) {
    for (size_t a = 0; a < 2; ++a) {
      for (float& logprob : answers[p][a].logprobs)
        logprob += a == 0 ? 0.1f : -0.15f;  // ratios that are not 1
      batch.trajectories.push_back({asked[p], &answers[p][a]});
      batch.advantages.push_back(a == 0 ? 1.5 : -0.7);
      batch.weights.push_back(0.25 / static_cast<double>(answers[p][a].tokens.size()));
    }
  }
  const UpdateOptions options{.loss = {.clip_low = 0.5f, .clip_high = 0.5f, .kl = 0}, .row_tokens = 24};
  const auto loss = [&] {
    model_->zero_gradients(pool_);
    return add_policy_gradient(*model_, nullptr, batch, options, pool_).loss.loss;
  };
  loss();
  int checked = 0;
  for (model::Parameter& p : model_->parameters()) {
    if (p.name.find("layers.0") == std::string::npos && p.name.find("lm_head") == std::string::npos) continue;
    if (!p.trainable) continue;
    const int64_t i = p.size() / 3;
    loss();
    const double gradient = p.grad[i];
    const float kept = p.value[i];
    constexpr float kStep = 4e-3f;
    p.value[i] = kept + kStep;
    const double above = loss();
    p.value[i] = kept - kStep;
    const double below = loss();
    p.value[i] = kept;
    EXPECT_NEAR(gradient, (above - below) / (2 * kStep), 2e-4 + 0.02 * std::fabs(gradient)) << p.name;
    ++checked;
  }
  EXPECT_GT(checked, 5);
}

}  // namespace
}  // namespace hadal::posttrain
