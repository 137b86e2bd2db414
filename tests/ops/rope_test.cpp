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
  ops::RopeTable plain(64, 10000, {}), scaled(64, 10000, {.yarn = yarn});
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

TEST(Rope, HalvesPairTheTwoHalvesOfAHead) {
  ops::RopeTable table(4, 10000, {.interleaved = false});
  table.extend(8);
  float x[4] = {1, 0, 0, 2};  // pairs (x0, x2), (x1, x3)
  table.rotate(x, 3);
  const double angle = 3 / std::sqrt(10000.0);
  EXPECT_NEAR(x[0], std::cos(3.0), 1e-6);
  EXPECT_NEAR(x[2], std::sin(3.0), 1e-6);
  EXPECT_NEAR(x[1], -2 * std::sin(angle), 1e-6);
  EXPECT_NEAR(x[3], 2 * std::cos(angle), 1e-6);
}

// Llama 3.1's own numbers: factor 8, wavelengths below 8192 / 4 kept, above 8192 / 1 divided.
TEST(Rope, Llama3KeepsShortWavelengthsAndStretchesLongOnes) {
  ops::Llama3Parameters llama3{8, 1, 4, 8192};
  ops::RopeTable plain(128, 500000, {.interleaved = false});
  ops::RopeTable scaled(128, 500000, {.interleaved = false, .llama3 = llama3});
  plain.extend(2);
  scaled.extend(2);
  const auto angle_of = [](const ops::RopeTable& table, int pair) {
    float x[128] = {};
    x[pair] = 1;
    table.rotate(x, 1);
    return std::atan2(static_cast<double>(x[pair + 64]), static_cast<double>(x[pair]));
  };
  EXPECT_NEAR(angle_of(scaled, 0), angle_of(plain, 0), 1e-7);
  EXPECT_NEAR(angle_of(scaled, 63), angle_of(plain, 63) / 8, 1e-9);
  const double frequency = std::pow(500000.0, -2.0 * 32 / 128),
               turns = 8192 * frequency / (2 * std::numbers::pi);
  const double kept = (turns - 1) / 3;
  ASSERT_TRUE(kept > 0 && kept < 1);
  EXPECT_NEAR(angle_of(scaled, 32), frequency / 8 * (1 - kept) + frequency * kept, 1e-8);
}

TEST(Rope, MscaleIsOneWithoutScaling) {
  EXPECT_EQ(ops::yarn_mscale(1, 1), 1);
  EXPECT_NEAR(ops::yarn_mscale(40, 1), 1.3689, 1e-4);      // DeepSeek-V3
  EXPECT_NEAR(ops::yarn_mscale(40, 0.707), 1.2608, 1e-4);  // DeepSeek-V2
}

}  // namespace
}  // namespace hadal
