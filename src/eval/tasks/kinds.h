// The two functions of each kind of task, for registry.cpp: TaskKind's words apply.
#pragma once

#include "eval/tasks/task.h"

namespace hadal::eval {

Problem draw_sum(int level, base::Random& random);
Problem draw_product(int level, base::Random& random);
Problem draw_countdown(int level, base::Random& random);
Problem draw_sorting(int level, base::Random& random);
Problem draw_brackets(int level, base::Random& random);
Problem draw_letters(int level, base::Random& random);
Problem draw_logic(int level, base::Random& random);

// Of sums and products: the value of facts.expression.
bool correct_value(const Problem& problem, std::string_view answer);
bool correct_countdown(const Problem& problem, std::string_view answer);
bool correct_sorting(const Problem& problem, std::string_view answer);
bool correct_brackets(const Problem& problem, std::string_view answer);
bool correct_letters(const Problem& problem, std::string_view answer);
bool correct_logic(const Problem& problem, std::string_view answer);

// A number of [low, high].
inline int64_t draw_between(base::Random& random, int64_t low, int64_t high) {
  return low + static_cast<int64_t>(random.below(static_cast<uint64_t>(high - low + 1)));
}

}  // namespace hadal::eval
