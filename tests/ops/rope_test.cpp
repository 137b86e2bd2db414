#include "ops/rope.h"

#include <gtest/gtest.h>

#include <cmath>
#include <numbers>

namespace hadal {
namespace {

TEST(Rope, RotatesInterleavedPairsByPositionTimesFrequency) {
  ops::RopeTable table(4, 10000, {});
  table.extend(8);
  float x[4] = {1, 0, 0, 2};
  table.rotate(x, 3);
  EXPECT_NEAR(x[0], std::cos(3.0), 1e-6);
  EXPECT_NEAR(x[1], std::sin(3.0), 1e-6);
  const double angle = 3 / std::sqrt(10000.0);  // the second pair: theta^(-2/4)
  EXPECT_NEAR(x[2], -2 * std::sin(angle), 1e-6);
  EXPECT_NEAR(x[3], 2 * std::cos(angle), 1e-6);
}

TEST(Rope, InverseIsTheTranspose) {
  ops::RopeTable table(6, 500, {});
  table.extend(100);
  float x[6] = {1, -2, 3, -4, 5, -6};
  table.rotate(x, 77);
  table.rotate_inverse(x, 77);
  for (int i = 0; i < 6; ++i) EXPECT_NEAR(x[i], (i % 2 ? -1.0 : 1.0) * (i + 1), 1e-5);
}

// YaRN leaves fast pairs alone and divides slow ones by the factor (Peng et al. 2023, section 3.2).
TEST(Rope, YarnKeepsFastPairsAndSlowsTheRest) {
  ops::YarnParameters yarn;
  yarn.factor = 40;
  ops::RopeTable plain(64, 10000, {}), scaled(64, 10000, yarn);
  plain.extend(2);
  scaled.extend(2);
  const auto angle_of = [](const ops::RopeTable& table, int pair) {
    float x[64] = {};
    x[2 * pair] = 1;
    table.rotate(x, 1);
    return std::atan2(static_cast<double>(x[2 * pair + 1]), static_cast<double>(x[2 * pair]));
  };
  EXPECT_NEAR(angle_of(scaled, 0), angle_of(plain, 0), 1e-6);
  EXPECT_NEAR(angle_of(scaled, 31), angle_of(plain, 31) / 40, 1e-8);
  const double middle = angle_of(scaled, 17);
  EXPECT_GT(middle, angle_of(plain, 17) / 40);
  EXPECT_LT(middle, angle_of(plain, 17));
}

TEST(Rope, MscaleIsOneWithoutScaling) {
  EXPECT_EQ(ops::yarn_mscale(1, 1), 1);
  EXPECT_NEAR(ops::yarn_mscale(40, 1), 1.3689, 1e-4);      // DeepSeek-V3
  EXPECT_NEAR(ops::yarn_mscale(40, 0.707), 1.2608, 1e-4);  // DeepSeek-V2
}

}  // namespace
}  // namespace hadal
