// Counting a letter in a word or in a row of letters.
#include <fmt/format.h>

#include <algorithm>

#include "eval/tasks/kinds.h"
#include "eval/verify/number.h"
#include "train/corpus/everyday_words.h"

namespace hadal::eval {
namespace {

bool plain(std::string_view word) {
  return std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

std::string draw_word(base::Random& random, bool longer) {
  const auto words = train::corpus::everyday_words();
  while (true) {
    const std::string_view word = words[random.below(words.size())].word;
    if (plain(word) && (word.size() > 5) == longer) return std::string(word);
  }
}

std::string draw_row(base::Random& random, int count, uint64_t alphabet) {
  std::string out;
  for (int i = 0; i < count; ++i) out += static_cast<char>('a' + random.below(alphabet));
  return out;
}

}  // namespace

Problem draw_letters(int level, base::Random& random) {
  const std::string word = level <= 2   ? draw_word(random, level == 2)
                           : level == 3 ? draw_row(random, 8, 4)
                           : level == 4 ? draw_row(random, 16, 6)
                                        : draw_row(random, 32, 8);
  // Mostly a letter that is there: a guess of 0 would be right too often.
  const bool there = random.below(5) > 0;
  const char letter = there ? word[random.below(word.size())] : static_cast<char>('a' + random.below(26));
  Problem out;
  out.key = fmt::format("{} {}", letter, word);
  out.brief = out.key;
  out.question = fmt::format("How many times does the letter {} occur in \"{}\"?", letter, word);
  int count = 0;
  for (const char c : word) {
    if (c == letter) ++count;
    out.steps +=
        fmt::format("{}{}{}", out.steps.empty() ? "" : " ", c, c == letter ? std::to_string(count) : "");
  }
  out.answer = std::to_string(count);
  out.facts = {{"word", word}, {"letter", std::string(1, letter)}};
  return out;
}

bool correct_letters(const Problem& problem, std::string_view answer) {
  const auto& word = problem.facts.at("word").get_ref<const std::string&>();
  const char letter = problem.facts.at("letter").get_ref<const std::string&>().at(0);
  const auto said = parse_number(answer);
  return said && *said == Rational(std::count(word.begin(), word.end(), letter));
}

}  // namespace hadal::eval
