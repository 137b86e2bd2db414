#include <gtest/gtest.h>

#include <regex>
#include <set>

#include "corpus_fixture.h"
#include "train/corpus/dialogue_topics.h"
#include "train/corpus/dialogues.h"
#include "train/corpus/wordnet.h"

namespace hadal::train::corpus {
namespace {

std::string text_of(const Dialogue& dialogue) {
  std::string out;
  for (const text::Message& message : dialogue) out += message.role + ": " + message.content + "\n";
  return out;
}

class Dialogues : public ::testing::Test {
 protected:
  Dialogues() {
    write_small_wordnet(folder_, "w");
    wordnet_ = WordNet::load(folder_ / "w");
    counts_ = count_words({"the animal terrier hound tabby wander boiling freezing gladly"});
    for (auto& [word, count] : counts_) count = 1000000;  // beside them, everyday words are rare
  }
  DialogueMaker maker(uint64_t seed = 1) const { return DialogueMaker(&wordnet_, counts_, {100, 0.1, seed}); }

  TemporaryFolder folder_;
  WordNet wordnet_;
  std::unordered_map<std::string, int64_t> counts_;
};

TEST_F(Dialogues, AreAFunctionOfSeedAndNumber) {
  const DialogueMaker first = maker();
  const DialogueMaker second = maker();
  const DialogueMaker other = maker(2);
  int different = 0;
  for (uint64_t i = 300; i-- > 0;) {
    EXPECT_EQ(text_of(first.make(i, DialogueSide::kTrain)), text_of(second.make(i, DialogueSide::kTrain)));
    different += text_of(first.make(i, DialogueSide::kTrain)) != text_of(other.make(i, DialogueSide::kTrain));
  }
  EXPECT_GT(different, 200);
}

TEST_F(Dialogues, TakeTurnsAndEndWithAnAnswer) {
  const DialogueMaker source = maker();
  std::set<size_t> lengths;
  for (uint64_t i = 0; i < 2000; ++i) {
    const Dialogue dialogue = source.make(i, DialogueSide::kTrain);
    const size_t system = !dialogue.empty() && dialogue[0].role == "system" ? 1 : 0;
    ASSERT_EQ((dialogue.size() - system) % 2, 0u);
    ASSERT_GE(dialogue.size(), system + 2);
    for (size_t m = system; m < dialogue.size(); ++m) {
      EXPECT_EQ(dialogue[m].role, (m - system) % 2 == 0 ? "user" : "assistant");
      EXPECT_FALSE(dialogue[m].content.empty());
      EXPECT_EQ(dialogue[m].content.find("{}"), std::string::npos) << text_of(dialogue);
      EXPECT_LT(dialogue[m].content.size(), 700u);
    }
    lengths.insert((dialogue.size() - system) / 2);
  }
  EXPECT_TRUE(lengths.contains(1) && lengths.contains(2) && lengths.contains(4));
}

// Every equation that an answer states is true, on both sides.
TEST_F(Dialogues, SumsAreRight) {
  const DialogueMaker source = maker();
  const std::regex equation("(\\d+) ([-+*/]) (\\d+) = (\\d+)");
  int found = 0;
  for (const DialogueSide side : {DialogueSide::kTrain, DialogueSide::kHeldOut}) {
    for (uint64_t i = 0; i < 4000; ++i) {
      const std::string text = text_of(source.make(i, side));
      for (std::sregex_iterator it(text.begin(), text.end(), equation), end; it != end; ++it) {
        const int a = std::stoi((*it)[1]);
        const int b = std::stoi((*it)[3]);
        const int result = std::stoi((*it)[4]);
        const char op = (*it)[2].str()[0];
        const int expected = op == '+'         ? a + b
                             : op == '-'       ? a - b
                             : op == '*'       ? a * b
                             : b * result == a ? result
                                               : -1;
        EXPECT_EQ(result, expected) << text;
        ++found;
      }
    }
  }
  EXPECT_GT(found, 1000);
}

// But for those that have to be known by heart: they are steps of the longer ones.
TEST_F(Dialogues, HeldOutSumsAreNeverTrained) {
  const DialogueMaker source = maker();
  const std::regex sum("(\\d+) \\+ (\\d+) = ");
  std::set<std::pair<int, int>> seen[2];
  for (const DialogueSide side : {DialogueSide::kTrain, DialogueSide::kHeldOut}) {
    for (uint64_t i = 0; i < 8000; ++i) {
      const std::string text = text_of(source.make(i, side));
      for (std::sregex_iterator it(text.begin(), text.end(), sum), end; it != end; ++it) {
        const int a = std::stoi((*it)[1]);
        const int b = std::stoi((*it)[2]);
        if (!is_table_sum(a, b))
          seen[side == DialogueSide::kHeldOut].insert({std::min(a, b), std::max(a, b)});
      }
    }
  }
  EXPECT_GT(seen[1].size(), 10u);
  for (const auto& pair : seen[1]) EXPECT_FALSE(seen[0].contains(pair)) << pair.first << " + " << pair.second;
}

TEST_F(Dialogues, LongSumsAreWorkedOutInSmallSteps) {
  const DialogueMaker source = maker();
  std::string all;
  for (uint64_t i = 0; i < 20000; ++i) all += text_of(source.make(i, DialogueSide::kTrain));
  // Each step follows from the one before it, and the last one is the question's sum.
  const std::regex steps(
      "assistant: (\\d+)0 \\+ (\\d+)0 = (\\d+), (\\d) \\+ (\\d) = (\\d+), (\\d+) \\+ (\\d+) = (\\d+)\\. So "
      "(\\d+) \\+ (\\d+) = (\\d+)\\.");
  int found = 0;
  for (std::sregex_iterator it(all.begin(), all.end(), steps), end; it != end; ++it, ++found) {
    const auto group = [&](size_t i) { return (*it)[i].str(); };
    EXPECT_EQ(group(1) + group(4), group(10));
    EXPECT_EQ(group(2) + group(5), group(11));
    EXPECT_EQ(group(3), group(7));
    EXPECT_EQ(group(6), group(8));
    EXPECT_EQ(group(9), group(12));
  }
  EXPECT_GT(found, 100);
}

TEST_F(Dialogues, SpellingsMatchTheirWords) {
  const DialogueMaker source = maker();
  const std::regex spelling("assistant: The word \"?(\\w+)\"? is spelled ([a-z ]+)[.:]");
  int found = 0;
  for (uint64_t i = 0; i < 6000; ++i) {
    const std::string text = text_of(source.make(i, DialogueSide::kTrain));
    for (std::sregex_iterator it(text.begin(), text.end(), spelling), end; it != end; ++it) {
      std::string joined = (*it)[2];
      std::erase(joined, ' ');
      EXPECT_EQ(joined, (*it)[1].str());
      ++found;
    }
  }
  EXPECT_GT(found, 50);
}

// What these topics answer stands in the question, or in the turn before it.
TEST_F(Dialogues, CopiesAreTrue) {
  const Lexicon lexicon(wordnet_, counts_, {100, 0.1, 1});
  base::Random random(7);
  const TopicContext context{lexicon, DialogueSide::kTrain, random};
  const std::regex place("The (\\w+) word is (.+)\\.");
  const std::regex has("(\\w+) has (an? \\w+)");
  int repeated = 0;
  int placed = 0;
  int recalled = 0;
  int remembered = 0;
  for (int i = 0; i < 2000; ++i) {
    std::smatch match;
    for (const Turn& turn : ask_repeat(context)) {
      std::string said = turn.answer;
      if (said.starts_with("The words are: ")) said = said.substr(15);
      if (said.starts_with("The word is ")) said = said.substr(12, said.size() - 13);
      EXPECT_NE(turn.question.find(said), std::string::npos) << turn.question << " | " << turn.answer;
      ++repeated;
    }
    for (const Turn& turn : ask_position(context)) {
      ASSERT_TRUE(std::regex_match(turn.answer, match, place)) << turn.answer;
      const size_t begin = turn.question.find(": ") == std::string::npos ? 0 : turn.question.find(": ") + 2;
      const std::string list = turn.question.substr(begin, turn.question.find('.') - begin);
      std::vector<std::string> words;
      for (size_t at = 0; at != std::string::npos;) {
        const size_t next = list.find(", ", at);
        words.push_back(list.substr(at, next == std::string::npos ? next : next - at));
        at = next == std::string::npos ? next : next + 2;
      }
      const std::string name = match[1];
      const size_t index = name == "last" ? words.size() - 1 : name == "first" ? 0 : name == "second" ? 1 : 2;
      ASSERT_LT(index, words.size()) << turn.question;
      EXPECT_EQ(match[2].str(), words[index]) << turn.question;
      ++placed;
    }
    for (const Turn& turn : ask_recall(context)) {
      if (!std::regex_search(turn.answer, match, has)) continue;
      EXPECT_NE(turn.question.find(match[0].str()), std::string::npos)
          << turn.question << " | " << turn.answer;
      ++recalled;
    }
    const std::vector<Turn> turns = ask_remember(context);
    ASSERT_EQ(turns.size(), 2u);
    if (turns[1].answer.starts_with("The word was ")) {
      const std::string word = turns[1].answer.substr(13, turns[1].answer.size() - 14);
      EXPECT_NE(turns[0].question.find(word), std::string::npos) << turns[0].question;
      ++remembered;
    }
  }
  EXPECT_GT(std::min({repeated, placed, recalled, remembered}), 200);
}

TEST_F(Dialogues, SpeakOfTheDictionary) {
  const DialogueMaker source = maker();
  std::string all;
  for (uint64_t i = 0; i < 30000; ++i) all += text_of(source.make(i, DialogueSide::kTrain));
  for (const std::string expected :
       {"a pet that barks", "go about without a plan", "The opposite of boiling is freezing.",
        "Another word for terrier is hound.", "A dog is an animal that barks"})
    EXPECT_NE(all.find(expected), std::string::npos) << expected;
}

TEST_F(Dialogues, EveryTopicHasSomethingToSay) {
  const Lexicon lexicon(wordnet_, counts_, {100, 0.1, 1});
  base::Random random(5);
  for (const Topic& topic : dialogue_topics()) {
    size_t turns = 0;
    for (int i = 0; i < 60; ++i) turns += topic.make({lexicon, DialogueSide::kTrain, random}).size();
    EXPECT_GT(turns, 5u) << topic.name;
  }
}

TEST(DialoguesWithoutWords, SpeakOfWhatNeedsNoDictionary) {
  const DialogueMaker source(nullptr, {}, {});
  for (uint64_t i = 0; i < 500; ++i) EXPECT_GE(source.make(i, DialogueSide::kTrain).size(), 2u);
}

TEST(DialogueParts, NumbersInWords) {
  EXPECT_EQ(number_in_words(0), "zero");
  EXPECT_EQ(number_in_words(21), "twenty-one");
  EXPECT_EQ(number_in_words(100), "one hundred");
  EXPECT_EQ(number_in_words(215), "two hundred and fifteen");
  EXPECT_EQ(number_in_words(1001), "one thousand and one");
  EXPECT_EQ(number_in_words(1999), "one thousand nine hundred and ninety-nine");
}

TEST(DialogueParts, ArticlesFollowTheSound) {
  EXPECT_EQ(with_article("apple"), "an apple");
  EXPECT_EQ(with_article("hour"), "an hour");
  EXPECT_EQ(with_article("house"), "a house");
  EXPECT_EQ(with_article("unit"), "a unit");
  EXPECT_EQ(join_list({"a", "b", "c"}), "a, b and c");
}

}  // namespace
}  // namespace hadal::train::corpus
