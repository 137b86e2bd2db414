// Arithmetic expressions as models write them: whole numbers, + - * / and parentheses (and the signs × ÷ −),
// evaluated exactly.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "eval/verify/rational.h"

namespace hadal::eval {

inline constexpr size_t kMaxExpressionBytes = 2000;
inline constexpr int kMaxExpressionDepth = 100;  // of parentheses and signs

struct Expression {
  Rational value;
  std::vector<int64_t> numbers;  // as they stand, from left to right
  int operations = 0;            // + - * / between two parts
};

// Nothing for what is no expression, divides by zero, leaves 64-bit fractions or passes the bounds.
std::optional<Expression> evaluate_expression(std::string_view text);

}  // namespace hadal::eval
