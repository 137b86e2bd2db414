#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

#include "base/error.h"
#include "posttrain/grpo/advantage.h"
#include "posttrain/grpo/group_batch.h"
#include "posttrain/grpo/packed_answers.h"
#include "posttrain/grpo/recipe.h"

namespace hadal::posttrain {
namespace {

TEST(Advantage, HasMeanZeroAndSpreadOne) {
  const std::vector<double> rewards = {1, 0, 0, 1.2, 0, 0, 0, 0.2};
  const auto advantages = group_advantages(rewards, true);
  double sum = 0, squares = 0;
  for (const double a : advantages) sum += a, squares += a * a;
  EXPECT_NEAR(sum, 0, 1e-12);
  EXPECT_NEAR(squares / 8, 1, 1e-12);
  const auto plain = group_advantages(rewards, false);
  EXPECT_NEAR(plain[0], 1 - 0.3, 1e-12);
  EXPECT_NEAR(plain[1], -0.3, 1e-12);
}

TEST(Advantage, AGroupOfEqualsHasNoSignal) {
  for (const double reward : {0.0, 1.0, 0.1}) {
    const std::vector<double> equal(5, reward);
    EXPECT_FALSE(has_signal(equal));
    EXPECT_EQ(group_advantages(equal, true), std::vector<double>(5, 0.0));
  }
}

TEST(Advantage, WeightsOfTokensByEachAverage) {
  const std::vector<int64_t> lengths = {2, 6};
  EXPECT_EQ(token_weights(lengths, Average::kSequence, 0), (std::vector<double>{1.0 / 4, 1.0 / 12}));
  EXPECT_EQ(token_weights(lengths, Average::kToken, 0), (std::vector<double>{1.0 / 8, 1.0 / 8}));
  EXPECT_EQ(token_weights(lengths, Average::kConstant, 10), (std::vector<double>{1.0 / 20, 1.0 / 20}));
  EXPECT_THROW(parse_average("mean"), Error);
}

TEST(PackedAnswers, EveryTokenIsPredictedOnceFromItsOwnQuestion) {
  std::vector<std::vector<text::TokenId>> prompts;
  std::vector<Answer> answers(9);
  for (int i = 0; i < 9; ++i) {
    prompts.emplace_back(static_cast<size_t>(1 + i % 4), 100 + i);
    answers[static_cast<size_t>(i)].tokens.resize(static_cast<size_t>(1 + 5 * i % 13));
    std::iota(answers[static_cast<size_t>(i)].tokens.begin(), answers[static_cast<size_t>(i)].tokens.end(),
              20 * i);
  }
  std::vector<Trajectory> all;
  for (size_t i = 0; i < 9; ++i) all.push_back({prompts[i], &answers[i]});
  std::vector<int> seen(9);
  for (const PackedAnswers& packed : pack_answers(all, 20, 40)) {
    const int64_t length = packed.batch.length;
    EXPECT_EQ(length, 19);
    EXPECT_LE(packed.batch.rows, 2);
    int64_t targets = 0;
    for (size_t i = 0; i < packed.trajectories.size(); ++i) {
      const size_t which = packed.trajectories[i];
      ++seen[which];
      const int64_t row = packed.first[i] / length, column = packed.first[i] % length;
      const auto prompt = static_cast<int64_t>(prompts[which].size());
      for (size_t t = 0; t < answers[which].tokens.size(); ++t, ++targets) {
        const auto place = static_cast<size_t>(packed.first[i]) + t;
        EXPECT_EQ(packed.targets[place], answers[which].tokens[t]);
        // The place sees its own question alone.
        EXPECT_EQ(packed.batch.document_start[place], column - prompt + 1);
        const size_t input = static_cast<size_t>(row * (length + 1) + column) + t;
        EXPECT_EQ(packed.batch.tokens[input], t == 0 ? prompts[which].back() : answers[which].tokens[t - 1]);
      }
    }
    EXPECT_EQ(std::count_if(packed.targets.begin(), packed.targets.end(), [](int32_t t) { return t >= 0; }),
              targets);
  }
  EXPECT_EQ(seen, std::vector<int>(9, 1));
}

// Five groups in two parts: two groups and three, each with weights of its own, and none without signal.
TEST(Minibatch, PartsHaveEachGroupOnceAndWeightsOfTheirOwn) {
  GroupBatch batch;
  batch.groups.resize(5);
  for (size_t g = 0; g < 5; ++g) {
    Group& group = batch.groups[g];
    group.prompt = {static_cast<text::TokenId>(100 + g)};
    group.answers.resize(2);
    group.rewards.resize(2);
    for (size_t a = 0; a < 2; ++a) {
      group.answers[a].tokens.resize(1 + g + a);
      group.rewards[a].total = a == 1 && g != 3 ? 1 : 0;  // the fourth has no signal
    }
    group.has_signal = g != 3;
  }
  GrpoRecipe recipe;
  recipe.divide_by_std = false;
  recipe.average = Average::kToken;
  std::vector<text::TokenId> seen;
  std::vector<size_t> sizes;
  for (int m = 0; m < 2; ++m) {
    const UpdateBatch part = minibatch(batch, m, 2, recipe);
    sizes.push_back(part.trajectories.size());
    // Over the tokens of the part's groups, those without signal too: (1+2) + (2+3), (3+4) + (4+5) + (5+6).
    const double tokens = m == 0 ? 8 : 27;
    for (size_t i = 0; i < part.trajectories.size(); ++i) {
      if (i % 2 == 0) seen.push_back(part.trajectories[i].prompt[0]);
      EXPECT_EQ(part.advantages[i], i % 2 == 0 ? -0.5 : 0.5);
      EXPECT_NEAR(part.weights[i], 1 / tokens, 1e-12);
    }
  }
  EXPECT_EQ(sizes, (std::vector<size_t>{4, 4}));
  EXPECT_EQ(seen, (std::vector<text::TokenId>{100, 101, 102, 104}));
  // More parts than groups: some are empty, and nothing is asked twice.
  size_t all = 0;
  for (int m = 0; m < 9; ++m) all += minibatch(batch, m, 9, recipe).trajectories.size();
  EXPECT_EQ(all, 8u);
}

TEST(GrpoRecipe, ARewardIsNamedOnce) {
  const std::string text =
      "[model]\nbase = \"b\"\n[task]\nname = \"sums:2\"\n[schedule]\nsteps = 1\n[rewards]\nsum = ";
  EXPECT_EQ(parse_grpo_recipe(text + "\"correct=1,format=0.1\"", "r.toml").rewards.size(), 2u);
  EXPECT_THROW(parse_grpo_recipe(text + "\"correct=1,correct=0.1\"", "r.toml"), Error);
}

}  // namespace
}  // namespace hadal::posttrain
