#include "eval/verify/number.h"

#include "eval/verify/answer_text.h"

namespace hadal::eval {
namespace {

constexpr size_t kMaxDigits = 18;  // 10^18 fits 64 bits
constexpr size_t kMaxListNumbers = 10'000;

bool digit(char c) { return c >= '0' && c <= '9'; }

int64_t power_of_ten(int64_t exponent) {
  int64_t out = 1;
  for (int64_t i = 0; i < exponent; ++i) out *= 10;
  return out;
}

// Digits at the front of `text`, with commas between groups of three; removed from it.
bool take_digits(std::string_view* text, bool groups, int64_t* value, size_t* count) {
  size_t at = 0;
  while (at < text->size()) {
    const char c = (*text)[at];
    if (digit(c)) {
      if (++*count > kMaxDigits) return false;
      *value = *value * 10 + (c - '0');
      ++at;
    } else if (groups && c == ',' && at > 0 && at + 3 < text->size() && digit((*text)[at + 1]) &&
               digit((*text)[at + 2]) && digit((*text)[at + 3]) &&
               (at + 4 >= text->size() || !digit((*text)[at + 4]))) {
      ++at;
    } else {
      break;
    }
  }
  text->remove_prefix(at);
  return at > 0;
}

// A power of ten at the front of `text`: e3, E-2.
bool take_exponent(std::string_view* text, int64_t* exponent) {
  if (text->empty() || (text->front() != 'e' && text->front() != 'E')) return true;
  text->remove_prefix(1);
  bool negative = false;
  if (!text->empty() && (text->front() == '-' || text->front() == '+')) {
    negative = text->front() == '-';
    text->remove_prefix(1);
  }
  size_t count = 0;
  int64_t value = 0;
  if (!take_digits(text, false, &value, &count) || value > 18) return false;
  *exponent = negative ? -value : value;
  return true;
}

// An unsigned decimal number; all of `text`.
std::optional<Rational> decimal(std::string_view text) {
  int64_t value = 0;
  int64_t exponent = 0;
  size_t count = 0;
  const bool whole = take_digits(&text, true, &value, &count);
  if (!whole && (count > 0 || text.empty() || text.front() != '.')) return std::nullopt;
  if (!text.empty() && text.front() == '.') {
    text.remove_prefix(1);
    const size_t before = count;
    if (!take_digits(&text, false, &value, &count)) return std::nullopt;
    exponent = -static_cast<int64_t>(count - before);
  }
  int64_t shift = 0;
  if (!take_exponent(&text, &shift) || !text.empty()) return std::nullopt;
  exponent += shift;
  if (exponent >= 0) return multiply(Rational(value), Rational(power_of_ten(exponent)));
  if (exponent < -18) return value == 0 ? std::optional(Rational(0)) : std::nullopt;
  return Rational::of(value, power_of_ten(-exponent));
}

std::optional<Rational> fraction(std::string_view above, std::string_view below) {
  const auto a = decimal(trim(above));
  const auto b = decimal(trim(below));
  return a && b ? divide(*a, *b) : std::nullopt;
}

std::optional<Rational> unsigned_number(std::string_view text) {
  if (text.starts_with("\\frac{") || text.starts_with("\\dfrac{")) {
    text.remove_prefix(text.find('{') + 1);
    const size_t middle = text.find("}{");
    if (middle == std::string_view::npos || text.back() != '}') return std::nullopt;
    return fraction(text.substr(0, middle), text.substr(middle + 2, text.size() - middle - 3));
  }
  if (const size_t slash = text.find('/'); slash != std::string_view::npos)
    return fraction(text.substr(0, slash), text.substr(slash + 1));
  return decimal(text);
}

}  // namespace

std::optional<Rational> parse_number(std::string_view text) {
  text = trim(text);
  if (text.ends_with('.')) text.remove_suffix(1);
  if (text.size() >= 2 && text.front() == '$' && text.back() == '$') text = text.substr(1, text.size() - 2);
  text = trim(text);
  bool negative = false;
  const auto take = [&](std::string_view sign) {
    if (!text.starts_with(sign)) return false;
    text = trim(text.substr(sign.size()));
    return true;
  };
  if (take("-") || take("−"))
    negative = true;
  else
    take("+");
  take("$") || take("€") || take("£");
  if (text.ends_with("\\%"))
    text.remove_suffix(2);
  else if (text.ends_with('%'))
    text.remove_suffix(1);
  text = trim(text);
  if (text.empty()) return std::nullopt;
  const auto value = unsigned_number(text);
  return value && negative ? subtract(Rational(0), *value) : value;
}

std::optional<std::vector<int64_t>> parse_integers(std::string_view text) {
  text = trim(text);
  if (text.size() >= 2 && text.front() == '[' && text.back() == ']')
    text = trim(text.substr(1, text.size() - 2));
  std::vector<int64_t> out;
  bool comma = true;  // a comma stands between two numbers, once
  size_t at = 0;
  while (at < text.size()) {
    if (text[at] == ' ' || text[at] == '\t' || text[at] == '\n') {
      ++at;
    } else if (text[at] == ',') {
      if (comma) return std::nullopt;
      comma = true;
      ++at;
    } else {
      const size_t begin = at;
      while (at < text.size() && text[at] != ',' && text[at] != ' ' && text[at] != '\t' && text[at] != '\n')
        ++at;
      std::string_view word = text.substr(begin, at - begin);
      const bool negative = word.starts_with('-');
      if (negative) word.remove_prefix(1);
      int64_t value = 0;
      size_t count = 0;
      if (!take_digits(&word, false, &value, &count) || !word.empty() || out.size() >= kMaxListNumbers)
        return std::nullopt;
      out.push_back(negative ? -value : value);
      comma = false;
    }
  }
  if (out.empty() || comma) return std::nullopt;
  return out;
}

}  // namespace hadal::eval
