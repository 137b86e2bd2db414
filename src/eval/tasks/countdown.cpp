// Countdown: an expression over given numbers, each used once, that has a given value (the game of TinyZero
// and of Stream of Search, arXiv 2404.03683).
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>

#include "eval/tasks/kinds.h"
#include "eval/verify/expression.h"
#include "eval/verify/number.h"

namespace hadal::eval {
namespace {

struct Level {
  int numbers;
  int64_t largest;
  int64_t largest_target;
};
constexpr Level kLevels[] = {{2, 9, 99}, {3, 9, 99}, {3, 99, 999}, {4, 9, 99}, {4, 99, 999}};

// Part of an expression: its value, its text, and the steps to it.
struct Part {
  int64_t value;
  std::string text;
  bool sum;  // + or - outermost: needs parentheses inside * and /
};

std::string wrapped(const Part& part, bool wrap) { return wrap ? "(" + part.text + ")" : part.text; }

// One random operation on a and b whose value is a whole number > 0; false: this one has none.
bool combine(base::Random& random, const Part& a, const Part& b, int64_t bound, Part* out) {
  switch (random.below(4)) {
    case 0:
      *out = {a.value + b.value, a.text + "+" + b.text, true};
      break;
    case 1:
      *out = {a.value - b.value, a.text + "-" + wrapped(b, b.sum), true};
      break;
    case 2:
      *out = {a.value * b.value, wrapped(a, a.sum) + "*" + wrapped(b, b.sum), false};
      break;
    default:
      if (b.value == 0 || a.value % b.value != 0) return false;
      // a/b/c and a/(b*c) differ: a divisor that is no plain number stands in parentheses.
      *out = {a.value / b.value,
              wrapped(a, a.sum) + "/" + wrapped(b, b.text.find_first_of("+-*/") != std::string::npos), false};
  }
  return out->value > 0 && out->value <= bound;
}

// Joins the numbers, two parts at a time. False when it came upon a pair without an operation.
bool build(base::Random& random, std::vector<Part> parts, int64_t bound, Part* out, std::string* steps) {
  while (parts.size() > 1) {
    const size_t i = random.below(parts.size());
    std::swap(parts[i], parts.back());
    const Part a = parts.back();
    parts.pop_back();
    const size_t j = random.below(parts.size());
    Part joined;
    if (!combine(random, a, parts[j], bound, &joined)) return false;
    if (!steps->empty()) *steps += ' ';
    *steps += joined.text + "=" + std::to_string(joined.value);
    parts[j] = joined;
  }
  *out = parts[0];
  return true;
}

}  // namespace

Problem draw_countdown(int level, base::Random& random) {
  const Level& of = kLevels[level - 1];
  while (true) {
    std::vector<int64_t> numbers;
    std::vector<Part> parts;
    for (int i = 0; i < of.numbers; ++i) {
      numbers.push_back(draw_between(random, 1, of.largest));
      parts.push_back({numbers.back(), std::to_string(numbers.back()), false});
    }
    Part solution;
    std::string steps;
    // Values on the way stay below 10^6, so that nothing overflows; half of all draws end here or there.
    if (!build(random, parts, 1'000'000, &solution, &steps) || solution.value > of.largest_target) continue;
    Problem out;
    out.brief = fmt::format("{}:{}", fmt::join(numbers, ","), solution.value);
    out.question = fmt::format(
        "Using the numbers {}, each exactly once, and the operations + - * / with parentheses, write an "
        "expression whose value is {}.",
        fmt::join(numbers, ", "), solution.value);
    out.answer = solution.text;
    out.steps = steps;
    out.facts = {{"numbers", numbers}, {"target", solution.value}};
    std::sort(numbers.begin(), numbers.end());
    out.key = fmt::format("{}:{}", fmt::join(numbers, ","), solution.value);
    return out;
  }
}

bool correct_countdown(const Problem& problem, std::string_view answer) {
  const auto target = problem.facts.at("target").get<int64_t>();
  // "(3+5)*2 = 16" is fine, as long as it is true.
  if (const size_t equals = answer.find('='); equals != std::string_view::npos) {
    const auto said = parse_number(answer.substr(equals + 1));
    if (!said || !(*said == Rational(target))) return false;
    answer = answer.substr(0, equals);
  }
  auto expression = evaluate_expression(answer);
  if (!expression || !(expression->value == Rational(target))) return false;
  auto numbers = problem.facts.at("numbers").get<std::vector<int64_t>>();
  std::sort(numbers.begin(), numbers.end());
  std::sort(expression->numbers.begin(), expression->numbers.end());
  return numbers == expression->numbers;
}

}  // namespace hadal::eval
