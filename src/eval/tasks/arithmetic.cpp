// Sums and products of whole numbers; a level is a number of digits.
#include <fmt/format.h>

#include <algorithm>

#include "eval/tasks/kinds.h"
#include "eval/verify/expression.h"
#include "eval/verify/number.h"

namespace hadal::eval {
namespace {

int64_t draw_digits(base::Random& random, int digits) {
  int64_t low = 1;
  for (int i = 1; i < digits; ++i) low *= 10;
  return draw_between(random, digits == 1 ? 0 : low, low * 10 - 1);
}

Problem problem_of(int64_t a, int64_t b, char sign, int64_t value) {
  Problem out;
  out.key = fmt::format("{}{}{}", std::min(a, b), sign, std::max(a, b));
  out.brief = fmt::format("{}{}{}", a, sign, b);
  out.question = fmt::format("What is {} {} {}?", a, sign, b);
  out.answer = std::to_string(value);
  out.facts["expression"] = out.brief;
  return out;
}

// 34+57: "4+7+0=11 3+5+1=09", from the ones up: two digits and what is carried, and their sum in two digits.
// Every column is as wide as the next, so that a tiny model finds its digits by their places.
std::string column_sums(int64_t a, int64_t b) {
  std::string out;
  int64_t carry = 0;
  do {
    const int64_t sum = a % 10 + b % 10 + carry;
    if (!out.empty()) out += ' ';
    out += fmt::format("{}+{}+{}={:02}", a % 10, b % 10, carry, sum);
    carry = sum / 10;
    a /= 10;
    b /= 10;
  } while (a > 0 || b > 0);
  return out;
}

// 34*57: "34*7=238 34*50=1700", one product a digit of b.
std::string digit_products(int64_t a, int64_t b) {
  std::string out;
  for (int64_t place = 1; place <= std::max<int64_t>(b, 1); place *= 10) {
    const int64_t part = b / place % 10 * place;
    if (!out.empty()) out += ' ';
    out += fmt::format("{}*{}={}", a, part, a * part);
  }
  return out;
}

}  // namespace

Problem draw_sum(int level, base::Random& random) {
  const int64_t a = draw_digits(random, level);
  const int64_t b = draw_digits(random, level);
  Problem out = problem_of(a, b, '+', a + b);
  out.steps = column_sums(a, b);
  return out;
}

// Levels 1, 2, 3, ...: 1x1, 2x1, 2x2, 3x2, 3x3 digits.
Problem draw_product(int level, base::Random& random) {
  const int64_t a = draw_digits(random, level / 2 + 1);
  const int64_t b = draw_digits(random, (level + 1) / 2);
  Problem out = problem_of(a, b, '*', a * b);
  out.steps = digit_products(a, b);
  return out;
}

bool correct_value(const Problem& problem, std::string_view answer) {
  const auto wanted = evaluate_expression(problem.facts.at("expression").get_ref<const std::string&>());
  // "12 + 34 = 46." is fine, as long as it is true.
  if (const size_t equals = answer.find('='); equals != std::string_view::npos) {
    const auto left = evaluate_expression(answer.substr(0, equals));
    if (!wanted || !left || !(left->value == wanted->value)) return false;
    answer = answer.substr(equals + 1);
  }
  const auto said = parse_number(answer);
  return wanted && said && wanted->value == *said;
}

}  // namespace hadal::eval
