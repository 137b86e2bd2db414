// Each reward by itself, and the sum of rewards that survives every one of them being wrong.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cmath>
#include <limits>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "posttrain/rewards/reward_sum.h"
#include "posttrain/sample.h"

namespace hadal::posttrain {
namespace {

using Sample = test::RewardSample;

double score(const std::string& name, const Sample& sample, const base::Json& options = {}) {
  return make_reward(name, options)->score(sample.view);
}

const std::string kRight = "<think>2+4=6 1+3=4</think><answer>46</answer>";

TEST(Rewards, CorrectExactAndNumeric) {
  for (const char* name : {"correct", "exact", "numeric"}) {
    EXPECT_EQ(score(name, Sample(kRight)), 1) << name;
    EXPECT_EQ(score(name, Sample("<answer>46</answer>")), 1) << name;
    EXPECT_EQ(score(name, Sample("<answer>47</answer>")), 0) << name;
    EXPECT_EQ(score(name, Sample("46")), 0) << name;
    EXPECT_EQ(score(name, Sample("")), 0) << name;
  }
  EXPECT_EQ(score("exact", Sample("<answer>46.0</answer>")), 0);
  EXPECT_EQ(score("numeric", Sample("<answer>46.0</answer>")), 1);
  EXPECT_EQ(score("numeric", Sample("<answer>46.2</answer>")), 0);
  EXPECT_EQ(score("numeric", Sample("<answer>46.2</answer>"), {{"tolerance", 0.01}}), 1);
  Sample odd(kRight);
  odd.problem.answer = "a cat";
  EXPECT_THROW(score("numeric", odd), Error);
}

TEST(Rewards, Format) {
  EXPECT_EQ(score("format", Sample(kRight)), 1);
  EXPECT_EQ(score("format", Sample("<answer>46</answer>")), 0);
  EXPECT_EQ(score("format", Sample("<answer>46</answer>"), {{"partial", 0.25}}), 0.25);
  EXPECT_EQ(score("format", Sample("46"), {{"partial", 0.25}}), 0);
}

TEST(Rewards, Length) {
  const base::Json options = {{"from", 100}, {"to", 200}};
  EXPECT_EQ(score("length", Sample("x", 100), options), 1);
  EXPECT_EQ(score("length", Sample("x", 150), options), 0.5);
  EXPECT_EQ(score("length", Sample("x", 200), options), 0);
  EXPECT_EQ(score("length", Sample("x", 50, false), options), 0);
}

TEST(Rewards, ControlsDoNotLookAtTheAnswer) {
  EXPECT_EQ(score("constant", Sample("x"), {{"value", 0.3}}), 0.3);
  int heads = 0;
  for (uint64_t draw = 0; draw < 2000; ++draw) {
    const double value = score("random", Sample(kRight, 10, true, draw));
    EXPECT_EQ(value, score("random", Sample("other", 3, true, draw))) << "by the draw alone";
    heads += value == 1 ? 1 : 0;
  }
  EXPECT_NEAR(heads, 1000, 120);
}

TEST(Rewards, UnknownNamesAndOptionsSayWhatThereIs) {
  const auto message = [](const std::string& name, const base::Json& options) {
    try {
      make_reward(name, options);
    } catch (const Error& error) {
      EXPECT_EQ(error.code(), ErrorCode::kBadInput);
      return std::string(error.what());
    }
    return std::string("nothing thrown");
  };
  EXPECT_NE(message("kindness", {}).find("correct, exact, numeric"), std::string::npos);
  EXPECT_NE(message("correct", {{"x", 1}}).find("no option 'x'; it has none"), std::string::npos);
  EXPECT_NE(message("format", {{"partia", 1}}).find("there are partial"), std::string::npos);
  EXPECT_NE(message("format", {{"partial", 2}}).find("not within [0, 1]"), std::string::npos);
  EXPECT_NE(message("length", {{"from", 9}, {"to", 5}}).find("below `to`"), std::string::npos);
  EXPECT_NE(message("length", {{"to", "5"}}).find("no number"), std::string::npos);
  EXPECT_NE(message("format", "yes").find("not an object"), std::string::npos);
  // Every row can be made without options unless it names what it needs, and refuses unknown ones.
  for (const RewardKind& kind : reward_kinds())
    EXPECT_THROW(kind.make({{"nonsense", 1}}), Error) << kind.name;
}

TEST(RewardParts, AreParsed) {
  const auto parts = parse_reward_parts(R"(correct,format{"partial":0.1}=0.2,length{"to":9}=-1e-1)");
  ASSERT_EQ(parts.size(), 3u);
  EXPECT_EQ(parts[0].name, "correct");
  EXPECT_EQ(parts[0].weight, 1);
  EXPECT_EQ(parts[1].options.at("partial"), 0.1);
  EXPECT_EQ(parts[1].weight, 0.2);
  EXPECT_EQ(parts[2].weight, -0.1);
  for (const char* text :
       {"", "a,", ",a", "a=", "a=x", "a=1b", "a{", "a{}b", "a{\"}", "a{1}x", "a=inf", "a}"})
    EXPECT_THROW(parse_reward_parts(text), Error) << text;
}

class TestReward : public Reward {
 public:
  TestReward(bool immediate, std::function<double(const Completion&)> fn)
      : immediate_(immediate), fn_(std::move(fn)) {}
  double score(const Completion& c) const override { return fn_(c); }
  bool immediate() const override { return immediate_; }

 private:
  bool immediate_;
  std::function<double(const Completion&)> fn_;
};

// n completions that say their number.
struct Batch {
  std::vector<std::unique_ptr<Sample>> samples;
  std::vector<Completion> views;
  explicit Batch(int n) {
    for (int i = 0; i < n; ++i) {
      samples.push_back(std::make_unique<Sample>("<answer>" + std::to_string(i) + "</answer>"));
      views.push_back(samples.back()->view);
    }
  }
};

RewardSum sum_of(bool immediate, std::function<double(const Completion&)> fn,
                 const RewardLimits& limits = {}) {
  return RewardSum({{"mine", 2, {}}, {"constant", 0.5, {}}},
                   {std::make_shared<TestReward>(immediate, std::move(fn)), make_reward("constant", {})},
                   limits);
}

TEST(RewardSum, AddsWeightedParts) {
  RewardSum sum(parse_reward_parts("correct=1,format=0.2,constant=0.05"));
  const Sample right(kRight), bare("<answer>46</answer>"), wrong("<think>x</think><answer>4</answer>"),
      none("");
  const auto values = sum.score(std::vector{right.view, bare.view, wrong.view, none.view});
  EXPECT_DOUBLE_EQ(values[0].total, 1.25);
  EXPECT_DOUBLE_EQ(values[1].total, 1.05);
  EXPECT_DOUBLE_EQ(values[2].total, 0.25);
  EXPECT_DOUBLE_EQ(values[3].total, 0.05);
  EXPECT_EQ(values[0].parts, (std::vector<double>{1, 1, 1}));
  EXPECT_EQ(sum.report()[0].calls, 4);
}

TEST(RewardSum, WhatThrowsOrIsNoNumberCountsZeroForThatCompletion) {
  for (const bool immediate : {true, false}) {
    RewardSum sum = sum_of(immediate, [](const Completion& c) -> double {
      const int i = std::stoi(std::string(c.parsed.answer));
      if (i == 1) throw std::runtime_error("no luck");
      if (i == 2) return std::nan("");
      if (i == 3) return std::numeric_limits<double>::infinity();
      if (i == 4) return -0.5;
      if (i == 5) throw 7;
      if (i == 6) return 1.5;
      return 1;
    });
    Batch batch(9);
    const auto values = sum.score(batch.views);
    for (size_t i = 0; i < 9; ++i) {
      const bool bad = i >= 1 && i <= 6;
      EXPECT_DOUBLE_EQ(values[i].total, bad ? 0.5 : 2.5) << i;
      EXPECT_EQ(values[i].failed, bad ? 1 : 0) << i;
    }
    const auto report = sum.report()[0];
    EXPECT_EQ(report.calls, 9);
    EXPECT_EQ(report.failures, (std::array<int64_t, 3>{2, 0, 4}));
  }
}

// The destructor joins nothing that hangs, so the hanging calls are ended here, after the sum is gone.
TEST(RewardSum, WhatHangsCountsZeroAndTheRestGoesOn) {
  auto release = std::make_shared<std::atomic<bool>>(false);
  auto ended = std::make_shared<std::atomic<int>>(0);
  const double began = base::monotonic_seconds();
  {
    RewardSum sum = sum_of(false,
                           [release, ended](const Completion& c) -> double {
                             if (std::stoi(std::string(c.parsed.answer)) % 8 != 3) return 1;
                             while (!*release) std::this_thread::sleep_for(std::chrono::milliseconds(2));
                             // What it sees lives on with it.
                             const double value =
                                 c.problem->answer == "46" && c.text.starts_with("<answer>") ? 1 : 0;
                             ++*ended;
                             return value;
                           },
                           {.seconds = 0.15, .threads = 2, .max_hung = 8});
    Batch batch(32);
    const auto values = sum.score(batch.views);
    for (size_t i = 0; i < 32; ++i) EXPECT_DOUBLE_EQ(values[i].total, i % 8 == 3 ? 0.5 : 2.5) << i;
    EXPECT_EQ(sum.report()[0].failures[static_cast<size_t>(RewardFailure::kHung)], 4);
  }
  EXPECT_LT(base::monotonic_seconds() - began, 10);
  *release = true;
  for (int i = 0; i < 500 && *ended < 4; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
  EXPECT_EQ(*ended, 4);
}

TEST(RewardSum, StopsCallingARewardThatKeepsHanging) {
  auto release = std::make_shared<std::atomic<bool>>(false);
  auto calls = std::make_shared<std::atomic<int>>(0);
  auto ended = std::make_shared<std::atomic<int>>(0);
  {
    RewardSum sum = sum_of(false,
                           [=](const Completion&) -> double {
                             ++*calls;
                             while (!*release) std::this_thread::sleep_for(std::chrono::milliseconds(2));
                             ++*ended;
                             return 1;
                           },
                           {.seconds = 0.05, .threads = 2, .max_hung = 3});
    Batch batch(20);
    for (int round = 0; round < 2; ++round)
      for (const auto& value : sum.score(batch.views)) EXPECT_DOUBLE_EQ(value.total, 0.5);
    EXPECT_LE(*calls, 4);
    EXPECT_EQ(sum.report()[0].failures[static_cast<size_t>(RewardFailure::kHung)], 40);
  }
  *release = true;
  for (int i = 0; i < 500 && *ended < *calls; ++i) std::this_thread::sleep_for(std::chrono::milliseconds(10));
}

// Slow is not dead: once its calls have come back, it is called again.
TEST(RewardSum, CallsAgainWhatCameBack) {
  auto calls = std::make_shared<std::atomic<int>>(0);
  RewardSum sum = sum_of(false,
                         [calls](const Completion&) -> double {
                           if (++*calls <= 2) std::this_thread::sleep_for(std::chrono::milliseconds(150));
                           return 1;
                         },
                         {.seconds = 0.05, .threads = 1, .max_hung = 2});
  Batch batch(4);
  for (const auto& value : sum.score(batch.views)) EXPECT_DOUBLE_EQ(value.total, 0.5);
  std::this_thread::sleep_for(std::chrono::milliseconds(400));
  for (const auto& value : sum.score(batch.views)) EXPECT_DOUBLE_EQ(value.total, 2.5);
  EXPECT_EQ(*calls, 6);
}

TEST(RewardSum, WaitingRewardsRunSideBySide) {
  RewardSum sum = sum_of(false,
                         [](const Completion&) -> double {
                           std::this_thread::sleep_for(std::chrono::milliseconds(50));
                           return 1;
                         },
                         {.seconds = 30, .threads = 8, .max_hung = 3});
  Batch batch(16);
  const double began = base::monotonic_seconds();
  for (const auto& value : sum.score(batch.views)) EXPECT_DOUBLE_EQ(value.total, 2.5);
  EXPECT_LT(base::monotonic_seconds() - began, 0.6) << "16 calls of 50 ms, 8 at a time";
}

}  // namespace
}  // namespace hadal::posttrain
