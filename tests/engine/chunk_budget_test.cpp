#include "engine/scheduler/chunk_budget.h"

#include <gtest/gtest.h>

namespace hadal::engine {
namespace {

// A machine that takes 20 ms for a step of decoding and 2 ms for each token of a prompt beside it.
void learn(ChunkBudget& budget) {
  for (int i = 0; i < 30; ++i) {
    budget.observe(4, 0, 0.020);
    budget.observe(4, 64, 0.020 + 64 * 0.002);
  }
}

TEST(ChunkBudgetTest, FillsWhatIsLeftOfTheAim) {
  ChunkBudget budget(200);
  learn(budget);
  EXPECT_NEAR(static_cast<double>(budget.tokens(4)), (200 - 20) / 2.0, 2);
}

TEST(ChunkBudgetTest, APromptAlwaysMoves) {
  ChunkBudget budget(10);  // less than a step of decoding takes
  learn(budget);
  EXPECT_EQ(budget.tokens(4), 16);
}

TEST(ChunkBudgetTest, NobodyWaitsBehindAnEmptyModel) {
  ChunkBudget budget(50);
  EXPECT_EQ(budget.tokens(0), 512) << "nothing is known yet";
  learn(budget);
  EXPECT_EQ(budget.tokens(0), 512);
  for (int i = 0; i < 30; ++i) budget.observe(0, 64, 64 * 0.1);  // a slow model: 100 ms a token
  EXPECT_NEAR(static_cast<double>(budget.tokens(0)), 64, 1) << "the bound before anything was measured";
}

TEST(ChunkBudgetTest, WithoutAnAimPromptsRunWhole) {
  ChunkBudget budget(0);
  learn(budget);
  EXPECT_EQ(budget.tokens(4), 8192);
  EXPECT_EQ(budget.tokens(0), 8192);
}

TEST(ChunkBudgetTest, FollowsAMachineThatGetsSlower) {
  ChunkBudget budget(200);
  learn(budget);
  const int64_t before = budget.tokens(4);
  for (int i = 0; i < 30; ++i) budget.observe(4, 64, 0.020 + 64 * 0.004);
  EXPECT_NEAR(static_cast<double>(budget.tokens(4)), static_cast<double>(before) / 2, 2);
}

}  // namespace
}  // namespace hadal::engine
