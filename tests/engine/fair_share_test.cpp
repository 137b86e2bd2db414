#include "engine/scheduler/fair_share.h"

#include <gtest/gtest.h>

namespace hadal::engine {
namespace {

TEST(FairShareTest, TheLeastServedIsTheOneToGoFirst) {
  FairShare share;
  share.enter("a");
  share.enter("b");
  share.charge("a", 100);
  share.charge("b", 30);
  EXPECT_GT(share.served("a"), share.served("b"));
  share.charge("b", 80);
  EXPECT_LT(share.served("a"), share.served("b"));
}

TEST(FairShareTest, AbsenceSavesNothingUp) {
  FairShare share;
  share.enter("late");
  share.leave("late");
  share.enter("busy");
  share.charge("busy", 1000);
  share.enter("late");
  EXPECT_EQ(share.served("late"), share.served("busy"))
      << "it starts level with who is here, not 1000 behind";
  share.enter("new");
  EXPECT_EQ(share.served("new"), share.served("busy"));
}

TEST(FairShareTest, LeavingAndComingBackForgivesNothing) {
  FairShare share;
  share.enter("greedy");
  share.enter("modest");
  share.charge("greedy", 500);
  share.charge("modest", 10);
  share.leave("greedy");
  share.enter("greedy");
  EXPECT_EQ(share.served("greedy"), 500);
}

TEST(FairShareTest, WhoIsGoneIsForgottenOnceItNoLongerMatters) {
  FairShare share;
  share.enter("here");
  for (int i = 0; i < 10'000; ++i) {
    const std::string name = "visitor " + std::to_string(i);
    share.enter(name);
    share.charge(name, 1);
    share.charge("here", 1);
    share.leave(name);
  }
  share.enter("another");
  EXPECT_LE(share.served("another"), share.served("here"));
  EXPECT_EQ(share.served("nobody"), share.served("another"));
}

}  // namespace
}  // namespace hadal::engine
