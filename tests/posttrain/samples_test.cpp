// What of a conversation is learned, and how samples are packed.
#include "posttrain/samples.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "base/error.h"
#include "base/random.h"
#include "posttrain/packing.h"

namespace hadal::posttrain {
namespace {

const text::Tokenizer& nano() {
  static const auto tokenizer =
      text::Tokenizer::load(std::string(HADAL_SOURCE_DIR) + "/models/hadal-nano/tokenizer.json");
  return *tokenizer;
}

// The learned tokens in [brackets].
std::string shown(const Sample& sample) {
  std::string out;
  bool open = false;
  for (size_t i = 0; i < sample.tokens.size(); ++i) {
    if (sample.learn[i] != open) out += open ? "]" : "[";
    open = sample.learn[i];
    out += nano().token_bytes(sample.tokens[i]);
  }
  return out + (open ? "]" : "");
}

std::vector<Sample> samples_of(const std::string& line, std::string_view format = "hadal-nano") {
  return render_samples(parse_conversation(line), text::find_chat_format(format), nano());
}

TEST(Samples, OnlyTheAnswersAreLearned) {
  const auto samples = samples_of(
      R"({"messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hi"},
          {"role": "assistant", "content": "Hello."}, {"role": "user", "content": "Bye"},
          {"role": "assistant", "content": "So long."}]})");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(shown(samples[0]),
            "<｜begin▁of▁sentence｜>Be brief.<｜User｜>Hi<｜Assistant｜>[Hello.<｜end▁of▁sentence｜>]"
            "<｜User｜>Bye<｜Assistant｜>[So long.<｜end▁of▁sentence｜>]");
}

TEST(Samples, AnAnswerOfWeightZeroIsContextOnly) {
  const auto samples = samples_of(
      R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": "Hello.", "weight": 0},
          {"role": "user", "content": "Bye"}, {"role": "assistant", "content": "So long."}]})");
  ASSERT_EQ(samples.size(), 1u);
  EXPECT_EQ(shown(samples[0]),
            "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜>Hello.<｜end▁of▁sentence｜>"
            "<｜User｜>Bye<｜Assistant｜>[So long.<｜end▁of▁sentence｜>]");
}

// R1 drops the reasoning of earlier answers: what the model sees when it makes the second is not what it said
// in the first.
TEST(Samples, AFormatThatRewritesItsHistoryMakesASampleOfEachAnswer) {
  const auto samples = samples_of(
      R"({"messages": [{"role": "user", "content": "Hi"},
          {"role": "assistant", "content": "Hello.", "reasoning_content": "polite"},
          {"role": "user", "content": "Bye"},
          {"role": "assistant", "content": "So long.", "reasoning_content": "sad"}]})",
      "deepseek-r1");
  ASSERT_EQ(samples.size(), 2u);
  EXPECT_EQ(shown(samples[0]),
            "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜><think>\n[polite\n</think>\n\nHello."
            "<｜end▁of▁sentence｜>]");
  EXPECT_EQ(shown(samples[1]),
            "<｜begin▁of▁sentence｜><｜User｜>Hi<｜Assistant｜>Hello.<｜end▁of▁sentence｜>"
            "<｜User｜>Bye<｜Assistant｜><think>\n[sad\n</think>\n\nSo long.<｜end▁of▁sentence｜>]");
}

TEST(Samples, ReasoningOfAFormatWithoutItIsText) {
  const auto samples = samples_of(
      R"({"messages": [{"role": "user", "content": "2+2"},
          {"role": "assistant", "content": "4", "reasoning_content": "easy"}]})");
  EXPECT_EQ(shown(samples.at(0)),
            "<｜begin▁of▁sentence｜><｜User｜>2+2<｜Assistant｜>[<think>\neasy\n</"
            "think>\n\n4<｜end▁of▁sentence｜>]");
}

TEST(Samples, ToolsNeedAFormatThatHasThem) {
  const std::string line = R"({"messages": [{"role": "user", "content": "Hi"}, {"role": "assistant",
      "tool_calls": [{"function": {"name": "f", "arguments": "{}"}}]}]})";
  EXPECT_THROW(samples_of(line, "deepseek-v2"), Error);
  EXPECT_EQ(samples_of(line, "hadal-nano").size(), 1u);
}

std::vector<Sample> random_samples(size_t count) {
  base::Random random(3);
  std::vector<Sample> samples(count);
  for (Sample& sample : samples) {
    const size_t n = 2 + random.below(40);
    for (size_t i = 0; i < n; ++i) {
      sample.tokens.push_back(static_cast<int32_t>(random.below(1000)));
      sample.learn.push_back(i > 0 && random.below(2) == 0);
    }
  }
  return samples;
}

TEST(Packing, EveryEpochHasEverySampleOnceAndWhole) {
  const auto samples = random_samples(300);
  SampleBatches batches(samples, 64, 7);
  std::vector<std::vector<int32_t>> orders;
  for (int epoch = 0; epoch < 2; ++epoch) {
    std::multiset<std::vector<int32_t>> expected, found;
    for (const Sample& s : samples) expected.insert({s.tokens.begin(), s.tokens.end() - 1});
    const int64_t rows = batches.rows_in_epoch(epoch);
    std::vector<int32_t> order;
    int64_t learned = 0;
    for (int64_t r = 0; r < rows; ++r) {
      SampleBatch batch;
      batches.next(1, batch);
      learned += batch.learned;
      EXPECT_LE(batch.length, 64);
      order.insert(order.end(), batch.tokens.begin(), batch.tokens.end());
      for (int64_t i = 0; i < batch.length;) {
        const int32_t start = batch.document_start[static_cast<size_t>(i)];
        EXPECT_EQ(start, i);
        int64_t end = i;
        while (end < batch.length && batch.document_start[static_cast<size_t>(end)] == start) ++end;
        if (i < batch.used) found.insert({batch.tokens.begin() + i, batch.tokens.begin() + end});
        i = end;
      }
    }
    EXPECT_EQ(found, expected);
    int64_t expected_learned = 0;
    for (const Sample& s : samples) expected_learned += s.learned_tokens();
    EXPECT_EQ(learned, expected_learned);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Packing, TargetsAreTheNextTokenOfTheSameSample) {
  const auto samples = random_samples(20);
  SampleBatches batches(samples, 96, 7);
  SampleBatch batch;
  batches.next(2, batch);
  for (int64_t r = 0; r < batch.rows; ++r) {
    for (int64_t i = 0; i + 1 < batch.length; ++i) {
      const auto at = static_cast<size_t>(r * batch.length + i);
      if (batch.targets[at] < 0 || batch.document_start[at] != batch.document_start[at + 1]) continue;
      EXPECT_EQ(batch.targets[at], batch.tokens[static_cast<size_t>(r * (batch.length + 1) + i + 1)]);
    }
  }
}

TEST(Packing, SeekingGoesOnWithTheSameRows) {
  const auto samples = random_samples(100);
  SampleBatches first(samples, 64, 7), second(samples, 64, 7);
  SampleBatch a, b;
  for (int i = 0; i < 17; ++i) first.next(3, a);
  second.seek(first.position());
  first.next(3, a);
  second.next(3, b);
  EXPECT_EQ(a.tokens, b.tokens);
  EXPECT_EQ(a.targets, b.targets);
  EXPECT_THROW(second.seek({0, 100000, 0}), Error);
  EXPECT_THROW(second.seek({-1, 0, 0}), Error);
}

TEST(Packing, LittleIsPadding) {
  const auto samples = random_samples(2000);
  SampleBatches batches(samples, 128, 7);
  int64_t used = 0;
  for (const Sample& s : samples) used += static_cast<int64_t>(s.tokens.size()) - 1;
  EXPECT_GT(static_cast<double>(used) / static_cast<double>(128 * batches.rows_in_epoch(0)), 0.97);
}

}  // namespace
}  // namespace hadal::posttrain
