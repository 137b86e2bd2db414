// The BPE trainer: exact on hand-made text, the same for any number of threads, and what it refuses.
#include "text/bpe_trainer.h"

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "sample_text.h"
#include "text/chat_template.h"

namespace hadal::text {
namespace {

std::vector<std::string> merges_of(const Tokenizer& tokenizer) {
  return base::parse_json(tokenizer.to_json(), "trained")
      .at("model")
      .at("merges")
      .get<std::vector<std::string>>();
}

std::vector<std::string> train_on(std::vector<std::string_view> chunks, int32_t new_tokens) {
  TrainOptions options;
  options.vocab_size = static_cast<int32_t>(control_tokens().size()) + 256 + new_tokens;
  options.min_pair_count = 1;
  return merges_of(*train_bpe(chunks, options));
}

TEST(BpeTrainer, MergesTheMostFrequentPairFirst) {
  // ab 3 times, bc twice; after that (ab, c) twice.
  EXPECT_EQ(train_on({"abc", "abc", "ab"}, 2), (std::vector<std::string>{"a b", "ab c"}));
}

TEST(BpeTrainer, OfEqualPairsTheLowerIdsWin) {
  EXPECT_EQ(train_on({"xy", "ab", "ac"}, 3), (std::vector<std::string>{"a b", "a c", "x y"}));
}

TEST(BpeTrainer, OverlapsAreCountedAfterEveryMerge) {
  // aaaa: (a, a) is merged twice without overlap, then (aa, aa).
  EXPECT_EQ(train_on({"aaaa"}, 2), (std::vector<std::string>{"a a", "aa aa"}));
  EXPECT_EQ(train_on({"ababab"}, 2), (std::vector<std::string>{"a b", "ab ab"}));
}

// The trainer against the definition: recount every pair before every merge.
TEST(BpeTrainer, EqualsRecountingEverything) {
  const std::string_view sample = std::string_view(sample_text()).substr(0, 12000);
  constexpr int32_t kNewTokens = 150;
  // Words by spaces alone would not be the trainer's pieces; so give it pieces that the pattern does not cut.
  std::map<std::string, int64_t> words;
  std::string word;
  for (const char c : sample) {
    if (c >= 'a' && c <= 'z')
      word.push_back(c);
    else if (!word.empty())
      ++words[word], word.clear();
  }
  std::vector<std::string> chunks_storage;
  for (const auto& [text, count] : words)
    chunks_storage.insert(chunks_storage.end(), static_cast<size_t>(count), text);
  const std::vector<std::string_view> chunks(chunks_storage.begin(), chunks_storage.end());

  std::map<std::string, int> id;  // order of ids: letters, then merges
  for (char c = 'a'; c <= 'z'; ++c) id.emplace(std::string(1, c), id.size());
  std::vector<std::pair<std::vector<std::string>, int64_t>> state;
  for (const auto& [text, count] : words) {
    state.emplace_back();
    for (const char c : text) state.back().first.emplace_back(1, c);
    state.back().second = count;
  }
  std::vector<std::string> expected;
  for (size_t made = 0; made < kNewTokens;) {
    std::map<std::pair<std::string, std::string>, int64_t> counts;
    for (const auto& [symbols, count] : state) {
      for (size_t i = 0; i + 1 < symbols.size(); ++i) counts[{symbols[i], symbols[i + 1]}] += count;
    }
    if (counts.empty()) break;
    auto best = counts.begin();
    for (auto it = counts.begin(); it != counts.end(); ++it) {
      const auto key = [&](const auto& entry) {
        return std::tuple(-entry.second, id.at(entry.first.first), id.at(entry.first.second));
      };
      if (key(*it) < key(*best)) best = it;
    }
    const auto [left, right] = best->first;
    expected.push_back(left + " " + right);
    if (id.emplace(left + right, id.size()).second) ++made;
    for (auto& [symbols, count] : state) {
      std::vector<std::string> merged;
      for (size_t i = 0; i < symbols.size(); ++i) {
        if (i + 1 < symbols.size() && symbols[i] == left && symbols[i + 1] == right) {
          merged.push_back(left + right);
          ++i;
        } else {
          merged.push_back(symbols[i]);
        }
      }
      symbols = merged;
    }
  }
  ASSERT_GT(expected.size(), 50u);
  EXPECT_EQ(train_on(chunks, kNewTokens), expected);
}

TEST(BpeTrainer, ThreadsAndOrderOfChunksChangeNothing) {
  // Over a megabyte, so that it is cut into several tasks.
  std::string text;
  base::Random random(4);
  while (text.size() < (3u << 20)) {
    text += random_unicode(random, 40);
    text += std::string_view(sample_text()).substr(random.below(50000), 300);
    text += '\n';
  }
  std::vector<std::string_view> chunks{std::string_view(text).substr(0, 2500000),
                                       std::string_view(text).substr(2500000)};
  TrainOptions options;
  options.vocab_size = 1500;
  const std::string one = train_bpe(chunks, options)->to_json();
  for (const int threads : {2, 3}) {
    options.threads = threads;
    EXPECT_EQ(train_bpe(chunks, options)->to_json(), one) << threads << " threads";
  }
  std::swap(chunks[0], chunks[1]);
  EXPECT_EQ(train_bpe(chunks, options)->to_json(), one);
}

TEST(BpeTrainer, ControlTokensComeFirst) {
  const auto tokenizer = train_sample(600, 1);
  EXPECT_EQ(tokenizer->vocab_size(), 600);
  EXPECT_EQ(tokenizer->find(kBos), 0);
  EXPECT_EQ(tokenizer->find(kEos), 1);
  EXPECT_EQ(tokenizer->find(kPad), 2);
  EXPECT_EQ(tokenizer->find(kUser), 3);
  EXPECT_EQ(tokenizer->find(kAssistant), 4);
  TokenId id = 0;
  for (const std::string_view token : control_tokens()) {
    EXPECT_EQ(tokenizer->find(token), id);
    EXPECT_EQ(tokenizer->token_bytes(id), token);
    EXPECT_TRUE(tokenizer->is_special(id++));
  }
  EXPECT_FALSE(tokenizer->is_special(id));
}

TEST(BpeTrainer, LengthLimitHolds) {
  const std::string_view chunk = "abababababababab abababababababab";
  TrainOptions options;
  options.vocab_size = 400;
  options.max_token_bytes = 4;
  const auto tokenizer = train_bpe({&chunk, 1}, options);
  for (TokenId id = static_cast<TokenId>(control_tokens().size()); id < tokenizer->vocab_size(); ++id) {
    EXPECT_LE(tokenizer->token_bytes(id).size(), 4u);
  }
  EXPECT_EQ(tokenizer->encode("abab").size(), 1u);
}

TEST(BpeTrainer, RefusesWhatCannotBeTrained) {
  const std::string_view chunk = "text";
  const std::string_view nothing;
  TrainOptions options;
  options.vocab_size = 100;
  EXPECT_THROW(train_bpe({&chunk, 1}, options), Error);
  options.vocab_size = 400;
  EXPECT_THROW(train_bpe({&nothing, 1}, options), Error);
  EXPECT_THROW(train_bpe({}, options), Error);
  options.threads = 0;
  EXPECT_THROW(train_bpe({&chunk, 1}, options), Error);
}

}  // namespace
}  // namespace hadal::text
