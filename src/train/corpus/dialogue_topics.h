// Topics of the dialogues: a topic makes one question and answer, or a short exchange that belongs together.
// One row each in dialogue_topics.cpp; the makers are grouped in dialogue_words.cpp, dialogue_copy.cpp,
// dialogue_numbers.cpp, dialogue_facts.cpp, dialogue_talk.cpp and dialogue_stories.cpp.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "train/corpus/dialogues.h"
#include "train/corpus/lexicon.h"

namespace hadal::train::corpus {

struct Turn {
  std::string question;
  std::string answer;
};

struct TopicContext {
  const Lexicon& lexicon;
  DialogueSide side;
  base::Random& random;

  // One of the choices, each as likely as another.
  std::string_view pick(std::initializer_list<std::string_view> choices) const {
    return choices.begin()[random.below(choices.size())];
  }
  template <typename T>
  const T& one_of(std::span<const T> choices) const {
    return choices[random.below(choices.size())];
  }
  int between(int least, int most) const {  // both included
    return least + static_cast<int>(random.below(static_cast<uint64_t>(most - least + 1)));
  }
  bool chance(double probability) const { return random.uniform() < probability; }
  // Whether a fact with this number (a sum, say) belongs to the side that is spoken for.
  bool on_this_side(uint64_t fact) const;
};

// An empty result means that this draw had nothing to say (the word has no opposite): the caller draws again.
struct Topic {
  std::string_view name;
  double weight;
  bool needs_words;  // a lexicon with entries
  std::vector<Turn> (*make)(const TopicContext& context);
};

std::span<const Topic> dialogue_topics();

// Replaces each {} of `pattern` by the next argument.
std::string fill(std::string_view pattern, std::initializer_list<std::string> arguments);
std::string capitalised(std::string text);
std::string with_article(const std::string& noun);                                            // "an apple"
std::string quoted(const std::string& text);                                                  // "\"apple\""
std::string join_list(const std::vector<std::string>& items, std::string_view last = "and");  // "a, b and c"

// dialogue_words.cpp
std::vector<Turn> ask_meaning(const TopicContext& context);
std::vector<Turn> ask_synonym(const TopicContext& context);
std::vector<Turn> ask_opposite(const TopicContext& context);
std::vector<Turn> ask_sentence(const TopicContext& context);
std::vector<Turn> ask_kind(const TopicContext& context);
std::vector<Turn> ask_examples_of_kind(const TopicContext& context);
std::vector<Turn> ask_part_of_speech(const TopicContext& context);
std::vector<Turn> ask_spelling(const TopicContext& context);
std::vector<Turn> ask_letters(const TopicContext& context);
std::vector<Turn> ask_plural(const TopicContext& context);
std::vector<Turn> ask_past(const TopicContext& context);
std::vector<Turn> ask_comparative(const TopicContext& context);
std::vector<Turn> ask_unknown_word(const TopicContext& context);
std::vector<Turn> ask_alphabetical(const TopicContext& context);

// dialogue_copy.cpp
std::vector<Turn> ask_repeat(const TopicContext& context);
std::vector<Turn> ask_echo(const TopicContext& context);
std::vector<Turn> ask_position(const TopicContext& context);
std::vector<Turn> ask_recall(const TopicContext& context);
std::vector<Turn> ask_remember(const TopicContext& context);
// "snoorfkee"; one of few syllables may be a real word by chance.
std::string invented_word(const TopicContext& context, int least_syllables, int most_syllables);

// dialogue_numbers.cpp
std::vector<Turn> ask_sum(const TopicContext& context);
std::vector<Turn> ask_difference(const TopicContext& context);
std::vector<Turn> ask_product(const TopicContext& context);
std::vector<Turn> ask_word_problem(const TopicContext& context);
std::vector<Turn> ask_comparison(const TopicContext& context);
std::vector<Turn> ask_counting(const TopicContext& context);
std::vector<Turn> ask_neighbour(const TopicContext& context);
std::vector<Turn> ask_even_odd(const TopicContext& context);
std::vector<Turn> ask_number_word(const TopicContext& context);
std::vector<Turn> ask_sort_numbers(const TopicContext& context);

// dialogue_facts.cpp
std::vector<Turn> ask_calendar(const TopicContext& context);
std::vector<Turn> ask_alphabet(const TopicContext& context);
std::vector<Turn> ask_capital(const TopicContext& context);
std::vector<Turn> ask_animal(const TopicContext& context);
std::vector<Turn> ask_fact(const TopicContext& context);

// dialogue_talk.cpp
std::vector<Turn> greet(const TopicContext& context);
std::vector<Turn> ask_identity(const TopicContext& context);
std::vector<Turn> ask_ability(const TopicContext& context);
std::vector<Turn> ask_too_much(const TopicContext& context);
std::vector<Turn> thank(const TopicContext& context);
std::vector<Turn> introduce(const TopicContext& context);
std::span<const std::string_view> dialogue_people();  // first names

// dialogue_stories.cpp
std::vector<Turn> tell_story(const TopicContext& context);

std::string number_in_words(int number);  // 0..9999
// Sums that have to be known by heart, because the longer ones are worked out with them: both below ten, or
// one a multiple of ten, or together at most twenty. They are trained on always and never asked of the
// held-out side.
bool is_table_sum(int a, int b);

}  // namespace hadal::train::corpus
