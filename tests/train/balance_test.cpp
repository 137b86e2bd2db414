#include "train/balance.h"

#include <gtest/gtest.h>

namespace hadal::train {
namespace {

TEST(Balance, BiasMovesByTheSignOfTheDistanceFromTheMean) {
  const ExpertLoad load = {{10, 0, 5, 5}, {1, 2, 3, 4}};
  std::vector<float> a = {0, 0, 0, 0.5f};
  std::vector<float> b = {1, 1, 1, 1};
  const std::vector<std::span<float>> biases = {a, b};
  update_routing_biases(load, 0.25, biases);
  EXPECT_EQ(a, (std::vector<float>{-0.25f, 0.25f, 0, 0.5f}));  // 5 is the mean: unchanged
  EXPECT_EQ(b, (std::vector<float>{1.25f, 1.25f, 0.75f, 0.75f}));
}

TEST(Balance, GammaZeroAndSkippedLayersChangeNothing) {
  std::vector<float> a = {1, 2};
  update_routing_biases({{3, 1}}, 0, std::vector<std::span<float>>{a});
  EXPECT_EQ(a, (std::vector<float>{1, 2}));
  update_routing_biases({{0, 0}}, 0.1, std::vector<std::span<float>>{a});  // an MTP module that did not run
  EXPECT_EQ(a, (std::vector<float>{1, 2}));
}

TEST(Balance, MaxViolationIsAveragedOverLayers) {
  EXPECT_DOUBLE_EQ(max_violation({{4, 4}, {8, 8}}), 0);
  EXPECT_DOUBLE_EQ(max_violation({{6, 2}}), 0.5);
  EXPECT_DOUBLE_EQ(max_violation({{6, 2}, {5, 5}}), 0.25);
  EXPECT_DOUBLE_EQ(max_violation({{6, 2}, {0, 0}}), 0.5);
  EXPECT_DOUBLE_EQ(max_violation({}), 0);
}

TEST(Balance, LoadsOfMicroBatchesAdd) {
  ExpertLoad total;
  add_load({{1, 2}}, total);
  add_load({{10, 20}}, total);
  EXPECT_EQ(total, (ExpertLoad{{11, 22}}));
}

}  // namespace
}  // namespace hadal::train
