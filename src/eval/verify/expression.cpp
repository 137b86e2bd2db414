#include "eval/verify/expression.h"

#include <array>

namespace hadal::eval {
namespace {

// Recursive descent: sum = product {(+|-) product}, product = factor {(*|/) factor}, factor = {+|-} (number |
// "(" sum ")").
class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  std::optional<Expression> parse() {
    const auto value = sum(0);
    skip_spaces();
    if (!value || at_ != text_.size()) return std::nullopt;
    out_.value = *value;
    return std::move(out_);
  }

 private:
  void skip_spaces() {
    while (at_ < text_.size() && (text_[at_] == ' ' || text_[at_] == '\t' || text_[at_] == '\n')) ++at_;
  }

  // The operator that comes next, as + - * / ( ) or 0; models write some of them as other characters.
  char peek(size_t* length) {
    struct Spelling {
      std::string_view text;
      char meaning;
    };
    static constexpr std::array<Spelling, 5> kSpellings = {
        {{"×", '*'}, {"·", '*'}, {"÷", '/'}, {"−", '-'}, {"\\times", '*'}}};
    skip_spaces();
    const std::string_view rest = text_.substr(at_);
    *length = 1;
    if (rest.empty()) return 0;
    if (std::string_view("+-*/()").find(rest[0]) != std::string_view::npos) return rest[0];
    for (const Spelling& spelling : kSpellings) {
      if (!rest.starts_with(spelling.text)) continue;
      *length = spelling.text.size();
      return spelling.meaning;
    }
    return 0;
  }

  bool take(char wanted) {
    size_t length = 0;
    if (peek(&length) != wanted) return false;
    at_ += length;
    return true;
  }

  std::optional<Rational> sum(int depth) {
    auto value = product(depth);
    while (value) {
      if (take('+')) {
        const auto next = product(depth);
        value = next ? add(*value, *next) : std::nullopt;
      } else if (take('-')) {
        const auto next = product(depth);
        value = next ? subtract(*value, *next) : std::nullopt;
      } else {
        break;
      }
      ++out_.operations;
    }
    return value;
  }

  std::optional<Rational> product(int depth) {
    auto value = factor(depth);
    while (value) {
      if (take('*')) {
        const auto next = factor(depth);
        value = next ? multiply(*value, *next) : std::nullopt;
      } else if (take('/')) {
        const auto next = factor(depth);
        value = next ? divide(*value, *next) : std::nullopt;
      } else {
        break;
      }
      ++out_.operations;
    }
    return value;
  }

  std::optional<Rational> factor(int depth) {
    if (depth >= kMaxExpressionDepth) return std::nullopt;
    if (take('+')) return factor(depth + 1);
    if (take('-')) {
      const auto value = factor(depth + 1);
      return value ? subtract(Rational(0), *value) : std::nullopt;
    }
    if (take('(')) {
      const auto value = sum(depth + 1);
      return value && take(')') ? value : std::nullopt;
    }
    return number();
  }

  std::optional<Rational> number() {
    skip_spaces();
    const size_t begin = at_;
    int64_t value = 0;
    while (at_ < text_.size() && text_[at_] >= '0' && text_[at_] <= '9') {
      if (at_ - begin >= 18) return std::nullopt;
      value = value * 10 + (text_[at_++] - '0');
    }
    if (at_ == begin) return std::nullopt;
    out_.numbers.push_back(value);
    return Rational(value);
  }

  std::string_view text_;
  size_t at_ = 0;
  Expression out_;
};

}  // namespace

std::optional<Expression> evaluate_expression(std::string_view text) {
  if (text.size() > kMaxExpressionBytes) return std::nullopt;
  return Parser(text).parse();
}

}  // namespace hadal::eval
