#include <gtest/gtest.h>

#include "train/corpus/clean.h"

namespace hadal::train::corpus {
namespace {

TEST(CorpusClean, MakesCharactersPlain) {
  EXPECT_EQ(normalise("\u201CYes,\u201D he said\u2014\u2018no\u2019\u2026"), "\"Yes,\" he said—'no'...");
  EXPECT_EQ(normalise("soft\u00ADhyphen, no\u00A0break,\t tabs \r\n and lines "),
            "softhyphen, no break, tabs and lines");
  EXPECT_EQ(normalise("a typed--dash and a longer ---- one"), "a typed—dash and a longer — one");
  EXPECT_EQ(normalise("caf\u00E9 stays"), "caf\u00E9 stays");
}

TEST(CorpusClean, DropsBytesThatAreNotUtf8) {
  EXPECT_EQ(normalise("a\xFF"
                      "b\xC3(c\xE2\x82"),
            "ab(c");
  EXPECT_EQ(normalise("\xED\xA0\x80x"), "x");  // a surrogate
  EXPECT_EQ(normalise("\xC0\xAFx"), "x");      // an overlong slash
  EXPECT_EQ(normalise("\x1e\x01y\x7f"), "y");  // control characters: 0x1e separates documents
  EXPECT_EQ(normalise("end\xC3"), "end");
}

TEST(CorpusClean, SplitsAtBlankLinesAndJoinsWrappedOnes) {
  const std::vector<std::string> expected = {"One line and its end.", "Two."};
  EXPECT_EQ(split_paragraphs("\n\nOne line\n  and its end.\n \t\nTwo.\n"), expected);
  EXPECT_TRUE(split_paragraphs(" \n\n").empty());
}

TEST(CorpusClean, KeepsProseOnly) {
  const ProseFilter filter;
  EXPECT_TRUE(is_prose(
      "It is a truth that everyone knows, that a man who has money must be in want of a wife.", filter));
  EXPECT_FALSE(is_prose("Chapter One", filter));
  EXPECT_FALSE(is_prose(
      "int main(int argc, char** argv) { return run(argc, argv) == 0 ? 1 : 2; } // the end of it.", filter));
  EXPECT_FALSE(is_prose(
      "apples pears plums figs nuts dates limes grapes melons lemons cherries peaches berries.", filter));
  EXPECT_FALSE(is_prose(
      "The values 12 13 14 15 16 17 18 19 20 21 22 23 24 25 26 27 are in the table of the page.", filter));
  EXPECT_FALSE(is_prose(
      "and gathers what is left of the thing that had been cut in two by the tool that read it.", filter));
  EXPECT_FALSE(
      is_prose("This is the beginning of a sentence that for some reason has never come to its end", filter));
  EXPECT_FALSE(is_prose(
      "Call the get_value() and the set_value() of the my_class::item or pass --long-flag to the a.b.c.",
      filter));
}

TEST(CorpusClean, DecodesEntities) {
  EXPECT_EQ(decode_entities("a &amp; b &lt;c&gt; &#65;&#x42; &eacute;"), "a & b <c> AB \u00E9");
  EXPECT_EQ(decode_entities("&unknown; &#xD800; &#99999999; & &;"), "&unknown; &#xD800; &#99999999; & &;");
}

}  // namespace
}  // namespace hadal::train::corpus
