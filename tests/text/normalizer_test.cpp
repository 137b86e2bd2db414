// NFC: what it changes, what it keeps, and that no text makes it slow. Equality with Hugging Face's library
// is tests/text/reference's.
#include "text/normalizer.h"

#include <gtest/gtest.h>

#include "base/error.h"
#include "base/random.h"
#include "sample_text.h"
#include "text/unicode_versions.h"

namespace hadal::text {
namespace {

std::string nfc(std::string_view text) {
  static const Normalizer normalizer({{"type", "NFC"}}, "test");
  std::string storage;
  return std::string(normalizer.apply(text, storage));
}

TEST(Normalizer, ComposesAndOrders) {
  EXPECT_EQ(nfc("e\u0301"), "\u00E9");
  EXPECT_EQ(nfc("a\u0301\u0323"), "\u1EA1\u0301");   // the lower class first, then both join where they can
  EXPECT_EQ(nfc("\u00E9\u0323"), "\u1EB9\u0301");    // a composed letter opens again
  EXPECT_EQ(nfc("\u212B \u2126"), "\u00C5 \u03A9");  // characters that are only other spellings
  EXPECT_EQ(nfc("\u1100\u1161\u11A8"), "\uAC01");    // Hangul
  EXPECT_EQ(nfc("\uAC00\u11A8x"), "\uAC01x");
  EXPECT_EQ(nfc("か\u3099"), "が");
  EXPECT_EQ(nfc("plain 中文 text"), "plain 中文 text");
  EXPECT_EQ(nfc(""), "");
}

TEST(Normalizer, KeepsWhatTheLibrarysOlderTablesKeep) {
  EXPECT_EQ(nfc("\uAC00\u11A7"), "\uAC00\u11A7");                  // not a final: nothing is dropped
  EXPECT_EQ(nfc("\U00011935\U00011930"), "\U00011935\U00011930");  // joined since Unicode 13
  EXPECT_EQ(nfc("x\u0301\u0898\u0323"), "x\u0301\u0898\u0323");    // a mark of Unicode 14 stops the order
  EXPECT_TRUE(unknown_to_nfc(0x0898));
  EXPECT_FALSE(unknown_to_nfc(0x0300));
  EXPECT_FALSE(unknown_to_nfc(0x10FFFF));
}

TEST(Normalizer, BytesThatAreNotUtf8Stay) {
  EXPECT_EQ(nfc("\xFF\u0301"), "\xFF\u0301");
  EXPECT_EQ(nfc("e\u0301\xC3"), "\u00E9\xC3");
  EXPECT_EQ(nfc("e\xFF\u0301\xE4\xBD"), "e\xFF\u0301\xE4\xBD");
  base::Random random(5);
  for (int round = 0; round < 2000; ++round) {
    std::string text;
    for (uint64_t n = random.below(30); n > 0; --n) {
      if (random.below(3) == 0) {
        text += random_unicode(random, 3);
      } else {
        text.push_back(static_cast<char>(random.below(256)));
      }
    }
    const std::string once = nfc(text);
    ASSERT_EQ(nfc(once), once) << "round " << round;
  }
}

TEST(Normalizer, AMegabyteOfMarksIsQuick) {
  std::string text = "a";
  for (int i = 0; i < 250000; ++i) text += i % 2 == 0 ? "\u0301" : "\u0323";
  const std::string composed = nfc(text);
  EXPECT_EQ(composed.substr(0, 3), "\u1EA1");
}

TEST(Normalizer, OthersAreNamed) {
  const auto error = [](const base::Json& config) -> std::string {
    try {
      Normalizer(config, "some.json");
      return "";
    } catch (const Error& e) {
      return e.what();
    }
  };
  EXPECT_EQ(error(nullptr), "");
  EXPECT_EQ(error({{"type", "Sequence"}, {"normalizers", base::Json::array({{{"type", "NFC"}}})}}), "");
  EXPECT_NE(error({{"type", "Lowercase"}}).find("some.json: normalizer \"Lowercase\""), std::string::npos);
  EXPECT_NE(
      error({{"type", "Sequence"}, {"normalizers", base::Json::array({{{"type", "NFKC"}}})}}).find("NFKC"),
      std::string::npos);
  EXPECT_NE(error(3).find("not an object"), std::string::npos);
}

}  // namespace
}  // namespace hadal::text
