#include "train/corpus/dialogue_topics.h"

#include <cctype>

namespace hadal::train::corpus {

namespace {

constexpr Topic kTopics[] = {
    {"meaning", 16, true, ask_meaning},
    {"synonym", 3, true, ask_synonym},
    {"opposite", 3, true, ask_opposite},
    {"sentence", 4, true, ask_sentence},
    {"kind", 4, true, ask_kind},
    {"examples of a kind", 1.5, true, ask_examples_of_kind},
    {"part of speech", 2, true, ask_part_of_speech},
    {"spelling", 10, true, ask_spelling},
    {"letters", 3, true, ask_letters},
    {"plural", 2, true, ask_plural},
    {"past tense", 2, true, ask_past},
    {"comparative", 0.5, false, ask_comparative},
    {"unknown word", 3, false, ask_unknown_word},
    {"alphabetical order", 1.5, true, ask_alphabetical},
    {"repeat", 22, true, ask_repeat},
    {"echo", 3, true, ask_echo},
    {"position", 4, true, ask_position},
    {"recall", 8, true, ask_recall},
    {"remember", 4, true, ask_remember},
    {"sum", 9, false, ask_sum},
    {"difference", 4, false, ask_difference},
    {"product", 2.5, false, ask_product},
    {"word problem", 4, false, ask_word_problem},
    {"comparison", 4, false, ask_comparison},
    {"counting", 2, false, ask_counting},
    {"neighbour", 2, false, ask_neighbour},
    {"even or odd", 1, false, ask_even_odd},
    {"number words", 2, false, ask_number_word},
    {"sort numbers", 1.5, false, ask_sort_numbers},
    {"calendar", 2, false, ask_calendar},
    {"alphabet", 1.5, false, ask_alphabet},
    {"capital", 1.5, false, ask_capital},
    {"animal", 1.5, false, ask_animal},
    {"fact", 3, false, ask_fact},
    {"greeting", 2.5, false, greet},
    {"identity", 3, false, ask_identity},
    {"ability", 1.5, false, ask_ability},
    {"too much", 2, false, ask_too_much},
    {"thanks", 1, false, thank},
    {"name", 2.5, false, introduce},
    {"story", 3, false, tell_story},
};

}  // namespace

std::span<const Topic> dialogue_topics() { return kTopics; }

bool TopicContext::on_this_side(uint64_t fact) const {
  uint64_t state = fact;
  const bool held_out = base::splitmix64(state) % 16 == 0;
  return held_out == (side == DialogueSide::kHeldOut);
}

std::string fill(std::string_view pattern, std::initializer_list<std::string> arguments) {
  std::string out;
  const auto* argument = arguments.begin();
  for (size_t at = 0; at < pattern.size(); ++at) {
    if (pattern.substr(at).starts_with("{}") && argument != arguments.end()) {
      out += *argument++;
      ++at;
    } else {
      out += pattern[at];
    }
  }
  return out;
}

std::string capitalised(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

std::string with_article(const std::string& noun) {
  // The sound decides: an hour, a unit, a one-way street.
  const bool silent_h = noun.starts_with("hour") || noun.starts_with("honest") || noun.starts_with("heir") ||
                        noun.starts_with("honor") || noun.starts_with("honour");
  const bool consonant_vowel = noun.starts_with("uni") || noun.starts_with("use") ||
                               noun.starts_with("one") || noun.starts_with("eu") ||
                               noun.starts_with("once") || noun.starts_with("usu");
  const bool vowel = std::string_view("aeiou").find(noun[0]) != std::string_view::npos;
  return (silent_h || (vowel && !consonant_vowel) ? "an " : "a ") + noun;
}

std::string quoted(const std::string& text) { return "\"" + text + "\""; }

std::string join_list(const std::vector<std::string>& items, std::string_view last) {
  std::string out;
  for (size_t i = 0; i < items.size(); ++i) {
    if (i > 0) out += i + 1 == items.size() ? " " + std::string(last) + " " : ", ";
    out += items[i];
  }
  return out;
}

}  // namespace hadal::train::corpus
