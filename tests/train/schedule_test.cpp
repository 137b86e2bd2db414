#include "train/schedule.h"

#include <gtest/gtest.h>

#include <cmath>

namespace hadal::train {
namespace {

TEST(Schedule, WarmsUpLinearlyToThePeak) {
  const Schedule s{.kind = ScheduleKind::kConstant, .peak_lr = 0.8, .warmup_steps = 4, .steps = 10};
  EXPECT_DOUBLE_EQ(s.lr(1), 0.2);
  EXPECT_DOUBLE_EQ(s.lr(2), 0.4);
  EXPECT_DOUBLE_EQ(s.lr(4), 0.8);
  EXPECT_DOUBLE_EQ(s.lr(10), 0.8);
}

TEST(Schedule, CosineEndsAtTheFinalFraction) {
  const Schedule s{.kind = ScheduleKind::kCosine,
                   .peak_lr = 1,
                   .final_lr_fraction = 0.1,
                   .warmup_steps = 10,
                   .steps = 110};
  EXPECT_DOUBLE_EQ(s.lr(10), 1);
  EXPECT_NEAR(s.lr(60), 0.55, 1e-12);  // half way: the mean of 1 and 0.1
  EXPECT_NEAR(s.lr(35), 0.1 + 0.9 * 0.5 * (1 + std::sqrt(0.5)), 1e-12);
  EXPECT_NEAR(s.lr(110), 0.1, 1e-12);
}

TEST(Schedule, WsdIsStableAndThenDecays) {
  Schedule s{.kind = ScheduleKind::kWsd,
             .decay_shape = DecayShape::kLinear,
             .peak_lr = 2,
             .final_lr_fraction = 0,
             .warmup_steps = 5,
             .decay_fraction = 0.2,
             .steps = 100};
  EXPECT_EQ(s.decay_start(), 81);
  EXPECT_DOUBLE_EQ(s.lr(80), 2);
  EXPECT_NEAR(s.lr(81), 2 * 0.95, 1e-12);
  EXPECT_NEAR(s.lr(90), 1, 1e-12);
  EXPECT_NEAR(s.lr(100), 0, 1e-12);
  s.decay_shape = DecayShape::kOneMinusSqrt;
  EXPECT_NEAR(s.lr(85), 2 * (1 - std::sqrt(0.25)), 1e-12);
  s.decay_shape = DecayShape::kCosine;
  EXPECT_NEAR(s.lr(90), 1, 1e-12);
}

TEST(Schedule, DecayNeverBeginsInsideTheWarmUp) {
  const Schedule s{
      .kind = ScheduleKind::kWsd, .peak_lr = 1, .warmup_steps = 8, .decay_fraction = 1, .steps = 10};
  EXPECT_EQ(s.decay_start(), 9);
  EXPECT_DOUBLE_EQ(s.lr(8), 1);
  EXPECT_LT(s.lr(9), 1);
}

TEST(GammaSchedule, FallsGeometricallyAndThenIsZero) {
  const GammaSchedule g{.start = 0.01, .end = 0.0001, .zero_from = 0.8};
  EXPECT_DOUBLE_EQ(g.at(1, 100), 0.01);
  EXPECT_NEAR(g.at(41, 100), 0.001, 1e-12);  // half of the way on a logarithmic scale
  EXPECT_GT(g.at(80, 100), 0);
  EXPECT_EQ(g.at(81, 100), 0);
  EXPECT_EQ(g.at(100, 100), 0);
}

TEST(MtpSchedule, DropsToTheLateWeight) {
  const MtpSchedule m{.early = 0.3, .late = 0.1, .late_from = 0.5};
  EXPECT_EQ(m.at(50, 100), 0.3);
  EXPECT_EQ(m.at(51, 100), 0.1);
}

}  // namespace
}  // namespace hadal::train
