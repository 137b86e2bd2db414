// Tokenizer: round trips, added tokens, streaming, and what it says about bad files.
#include "text/tokenizer.h"

#include <gtest/gtest.h>

#include <string>

#include "base/error.h"
#include "base/random.h"
#include "sample_text.h"
#include "text/bpe_trainer.h"
#include "text/chat_template.h"
#include "text/utf8.h"

namespace hadal::text {
namespace {

class TokenizerTest : public ::testing::Test {
 protected:
  static void SetUpTestSuite() { tokenizer_ = train_sample(700, 1); }
  static void TearDownTestSuite() { tokenizer_.reset(); }
  static std::shared_ptr<const Tokenizer> tokenizer_;
};
std::shared_ptr<const Tokenizer> TokenizerTest::tokenizer_;

TEST_F(TokenizerTest, RoundTripsRandomBytes) {
  base::Random random(7);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (uint64_t n = random.below(200); n > 0; --n) text.push_back(static_cast<char>(random.below(256)));
    ASSERT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text) << "round " << round;
    ASSERT_EQ(tokenizer_->decode(tokenizer_->encode(text, true)), text) << "round " << round;
  }
}

TEST_F(TokenizerTest, RoundTripsUnicode) {
  base::Random random(8);
  for (int round = 0; round < 2000; ++round) {
    const std::string text = random_unicode(random, 80);
    ASSERT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text) << "round " << round;
    ASSERT_EQ(tokenizer_->decode(tokenizer_->encode(text, true)), text) << "round " << round;
  }
}

TEST_F(TokenizerTest, AMegabyteWithoutABoundaryIsQuick) {
  const std::string text(1 << 20, 'a');
  EXPECT_EQ(tokenizer_->decode(tokenizer_->encode(text)), text);
}

// The cache of pieces is one a thread: what one tokenizer leaves there is nothing to another.
TEST_F(TokenizerTest, TokenizersOfOneThreadDoNotMix) {
  const auto other = train_sample(290, 1);
  std::vector<std::vector<TokenId>> first;
  for (int round = 0; round < 3; ++round) {
    for (const auto* tokenizer : {tokenizer_.get(), other.get()}) {
      const auto ids = tokenizer->encode(sample_text());
      EXPECT_EQ(tokenizer->decode(ids), sample_text());
      for (const TokenId id : ids) ASSERT_LT(id, tokenizer->vocab_size());
      first.push_back(ids);
    }
  }
  EXPECT_NE(first[0], first[1]);
  EXPECT_EQ(first[0], first[4]);
  EXPECT_EQ(first[1], first[5]);
}

TEST_F(TokenizerTest, ControlTokensOnlyWhenAsked) {
  const std::string text =
      std::string("a") + std::string(kUser) + "b" + std::string(kEos) + "<think>c</think>";
  const auto plain = tokenizer_->encode(text);
  for (const TokenId id : plain) EXPECT_FALSE(tokenizer_->is_special(id)) << tokenizer_->token_bytes(id);
  EXPECT_EQ(tokenizer_->decode(plain), text);

  const auto parsed = tokenizer_->encode(text, true);
  const auto id = [](std::string_view token) { return *tokenizer_->find(token); };
  const std::vector<TokenId> expected{
      tokenizer_->encode("a")[0], id(kUser),     tokenizer_->encode("b")[0], id(kEos), id("<think>"),
      tokenizer_->encode("c")[0], id("</think>")};
  EXPECT_EQ(parsed, expected);
  EXPECT_EQ(tokenizer_->decode(parsed), text);
}

TEST_F(TokenizerTest, SkipSpecialLeavesOutWhatTheFileCallsSpecial) {
  // As with Hugging Face's library: <｜User｜> is not "special" in DeepSeek's files.
  const auto ids =
      tokenizer_->encode(std::string(kBos) + "x" + std::string(kUser) + "y" + std::string(kEos), true);
  EXPECT_EQ(tokenizer_->decode(ids, true), "x" + std::string(kUser) + "y");
}

TEST_F(TokenizerTest, TheLongestAddedTokenWins) {
  const auto ids = tokenizer_->encode("<｜tool▁calls▁begin｜><｜tool▁call▁begin｜><｜tool▁call", true);
  ASSERT_GE(ids.size(), 3u);
  EXPECT_EQ(ids[0], *tokenizer_->find("<｜tool▁calls▁begin｜>"));
  EXPECT_EQ(ids[1], *tokenizer_->find("<｜tool▁call▁begin｜>"));
  EXPECT_FALSE(tokenizer_->is_special(ids[2]));
}

TEST_F(TokenizerTest, IdsOutsideTheVocabularyAreEmpty) {
  EXPECT_EQ(tokenizer_->token_bytes(-1), "");
  EXPECT_EQ(tokenizer_->token_bytes(tokenizer_->vocab_size()), "");
  EXPECT_FALSE(tokenizer_->is_special(-1));
  EXPECT_FALSE(tokenizer_->is_special(tokenizer_->vocab_size()));
  EXPECT_EQ(tokenizer_->find("nothing"), std::nullopt);
}

TEST_F(TokenizerTest, SavedFileReadsBackTheSame) {
  const std::string path = ::testing::TempDir() + "/hadal_tokenizer_test.json";
  tokenizer_->save(path);
  const auto again = Tokenizer::load(path);
  EXPECT_EQ(again->vocab_size(), tokenizer_->vocab_size());
  EXPECT_EQ(again->to_json(), tokenizer_->to_json());
  EXPECT_EQ(again->encode(sample_text()), tokenizer_->encode(sample_text()));
}

bool is_utf8(const std::string& text) { return valid_utf8_prefix(text) == text.size(); }

TEST_F(TokenizerTest, StreamNeverEmitsHalfACharacter) {
  base::Random random(9);
  for (int round = 0; round < 500; ++round) {
    const std::string text = random_unicode(random, 60);
    StreamDecoder stream(tokenizer_);
    std::string all;
    for (const TokenId id : tokenizer_->encode(text)) {
      const std::string part = stream.push(id);
      ASSERT_TRUE(is_utf8(part));
      all += part;
    }
    all += stream.finish();
    ASSERT_EQ(all, text);
  }
}

TEST_F(TokenizerTest, StreamReplacesBadBytesAndKeepsTheRest) {
  const auto stream_of = [](const std::string& bytes) {
    StreamDecoder stream(tokenizer_);
    std::string out;
    for (const char c : bytes) {
      const std::string part = stream.push(tokenizer_->encode(std::string(1, c))[0]);
      EXPECT_TRUE(is_utf8(part));
      out += part;
    }
    return out + stream.finish();
  };
  EXPECT_EQ(stream_of("a\xFFz"), "a\uFFFDz");
  EXPECT_EQ(stream_of("\xE4\xBD"), "\uFFFD");                  // ends within a character
  EXPECT_EQ(stream_of("\xE4\xBDq"), "\uFFFDq");                // a character cut short
  EXPECT_EQ(stream_of("\xED\xA0\x80"), "\uFFFD\uFFFD\uFFFD");  // a surrogate
  EXPECT_EQ(stream_of("\xF0\x9F\x98\x80"), "\U0001F600");
}

}  // namespace
}  // namespace hadal::text
