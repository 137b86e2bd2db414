// Sorting whole numbers.
#include <fmt/ranges.h>

#include <algorithm>

#include "eval/tasks/kinds.h"
#include "eval/verify/number.h"

namespace hadal::eval {
namespace {

struct Level {
  int numbers;
  int64_t largest;
};
constexpr Level kLevels[] = {{4, 9}, {6, 9}, {5, 99}, {8, 99}, {12, 999}};

}  // namespace

Problem draw_sorting(int level, base::Random& random) {
  const Level& of = kLevels[level - 1];
  std::vector<int64_t> numbers, sorted;
  Problem out;
  for (int i = 0; i < of.numbers; ++i) {
    numbers.push_back(draw_between(random, 0, of.largest));
    sorted.insert(std::upper_bound(sorted.begin(), sorted.end(), numbers.back()), numbers.back());
    out.steps += fmt::format("{}{}", i > 0 ? ", " : "", fmt::join(sorted, " "));  // insertion sort
  }
  out.brief = fmt::format("{}", fmt::join(numbers, " "));
  out.question = fmt::format("Sort these numbers, the smallest first: {}.", out.brief);
  out.answer = fmt::format("{}", fmt::join(sorted, " "));
  out.key = out.answer;
  out.facts["numbers"] = numbers;
  return out;
}

bool correct_sorting(const Problem& problem, std::string_view answer) {
  const auto said = parse_integers(answer);
  if (!said || !std::is_sorted(said->begin(), said->end())) return false;
  auto given = problem.facts.at("numbers").get<std::vector<int64_t>>();
  return std::is_permutation(said->begin(), said->end(), given.begin(), given.end());
}

}  // namespace hadal::eval
