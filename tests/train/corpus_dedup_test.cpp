#include <gtest/gtest.h>

#include <cmath>
#include <set>

#include "base/random.h"
#include "train/corpus/dedup.h"

namespace hadal::train::corpus {
namespace {

std::string random_words(base::Random& random, int words) {
  std::string out;
  for (int i = 0; i < words; ++i) out += (out.empty() ? "w" : " w") + std::to_string(random.below(100000));
  return out;
}

TEST(CorpusDedup, EstimateFollowsTheTrueSimilarity) {
  base::Random random(7);
  double worst = 0;
  for (int trial = 0; trial < 40; ++trial) {
    const std::string shared = random_words(random, 50 + static_cast<int>(random.below(150)));
    const std::string a = shared + " " + random_words(random, static_cast<int>(random.below(100)) + 1);
    const std::string b = shared + " " + random_words(random, static_cast<int>(random.below(100)) + 1);
    const auto shingles = [](const std::string& text) {
      std::vector<std::string> words;
      for (size_t at = 0; at < text.size();) {
        const size_t end = std::min(text.find(' ', at), text.size());
        words.push_back(text.substr(at, end - at));
        at = end + 1;
      }
      std::set<std::string> out;
      for (size_t i = 0; i + 5 <= words.size(); ++i)
        out.insert(words[i] + " " + words[i + 1] + " " + words[i + 2] + " " + words[i + 3] + " " +
                   words[i + 4]);
      return out;
    };
    const std::set<std::string> left = shingles(a);
    const std::set<std::string> right = shingles(b);
    size_t both = 0;
    for (const std::string& s : left) both += right.contains(s);
    const double truth = static_cast<double>(both) / static_cast<double>(left.size() + right.size() - both);
    worst = std::max(worst, std::abs(similarity(min_hash(a), min_hash(b)) - truth));
  }
  EXPECT_LT(worst, 0.27);  // 64 hashes: a standard error of at most 0.0625, four and a bit of them
}

TEST(CorpusDedup, CaseAndPunctuationDoNotMatter) {
  EXPECT_EQ(min_hash("The cat sat on the mat today."), min_hash("the CAT sat, on the mat; today"));
}

std::vector<Document> documents(const std::vector<std::string>& texts) {
  std::vector<Document> out;
  for (size_t i = 0; i < texts.size(); ++i) out.push_back({"s", std::to_string(i), texts[i]});
  return out;
}

TEST(CorpusDedup, RemovesExactAndNearCopiesAndKeepsTheFirst) {
  base::Random random(3);
  const std::string original = random_words(random, 200);
  std::string near = original;
  near.replace(near.find(' '), 1, " changed ");  // one word of 200
  const std::string other = random_words(random, 200);
  std::vector<Document> corpus =
      documents({original + "\n\n" + other, original, near + "\n\nshort one", "short one"});
  const DedupCounts counts = remove_duplicates(corpus, {});
  ASSERT_EQ(corpus.size(), 3u);
  EXPECT_EQ(corpus[0].text, original + "\n\n" + other);
  EXPECT_EQ(corpus[1].text, "short one");  // the near copy before it went; short paragraphs may repeat
  EXPECT_EQ(corpus[1].id, "2");
  EXPECT_EQ(corpus[2].text, "short one");
  EXPECT_EQ(counts.exact_paragraphs, 1);
  EXPECT_EQ(counts.near_paragraphs, 1);
  EXPECT_EQ(counts.empty_documents, 1);
  EXPECT_EQ(counts.bytes_removed, static_cast<int64_t>(original.size() + near.size()));
}

TEST(CorpusDedup, KeepsWhatIsOnlyAlike) {
  base::Random random(4);
  const std::string shared = random_words(random, 100);
  std::vector<Document> corpus =
      documents({shared + " " + random_words(random, 100), shared + " " + random_words(random, 100)});
  EXPECT_EQ(remove_duplicates(corpus, {}).near_paragraphs, 0);  // similarity about 1/3
  EXPECT_EQ(corpus.size(), 2u);
}

TEST(CorpusDedup, ThresholdDecides) {
  base::Random random(5);
  const std::string shared = random_words(random, 150);
  const std::vector<std::string> texts = {shared + " " + random_words(random, 50),
                                          shared + " " + random_words(random, 50)};
  std::vector<Document> strict = documents(texts);
  std::vector<Document> loose = documents(texts);
  remove_duplicates(strict, {.threshold = 0.95, .min_words = 8});
  remove_duplicates(loose, {.threshold = 0.35, .min_words = 8});
  EXPECT_EQ(strict.size(), 2u);
  EXPECT_EQ(loose.size(), 1u);
}

}  // namespace
}  // namespace hadal::train::corpus
