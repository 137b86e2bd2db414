// Exact fractions of 64-bit integers. Every operation that leaves them is nothing instead of a wrong number:
// an answer is right or it is not, and no rounding decides that.
#pragma once

#include <cstdint>
#include <numeric>
#include <optional>
#include <string>

namespace hadal::eval {

class Rational {
 public:
  Rational() = default;
  Rational(int64_t whole) : numerator_(whole) {}  // NOLINT: a whole number is a fraction

  // Nothing when the denominator is 0 or the reduced fraction does not fit.
  static std::optional<Rational> of(int64_t numerator, int64_t denominator) {
    return reduce(numerator, denominator);
  }

  int64_t numerator() const { return numerator_; }      // has the sign
  int64_t denominator() const { return denominator_; }  // > 0, without a common factor
  bool whole() const { return denominator_ == 1; }
  std::string text() const {
    return whole() ? std::to_string(numerator_)
                   : std::to_string(numerator_) + "/" + std::to_string(denominator_);
  }

  friend bool operator==(const Rational&, const Rational&) = default;

  // Within 128 bits none of these overflows before it is reduced: |numerators|, denominators <= 2^63.
  friend std::optional<Rational> add(const Rational& a, const Rational& b) {
    return reduce(Wide{a.numerator_} * b.denominator_ + Wide{b.numerator_} * a.denominator_,
                  Wide{a.denominator_} * b.denominator_);
  }
  friend std::optional<Rational> subtract(const Rational& a, const Rational& b) {
    return reduce(Wide{a.numerator_} * b.denominator_ - Wide{b.numerator_} * a.denominator_,
                  Wide{a.denominator_} * b.denominator_);
  }
  friend std::optional<Rational> multiply(const Rational& a, const Rational& b) {
    return reduce(Wide{a.numerator_} * b.numerator_, Wide{a.denominator_} * b.denominator_);
  }
  friend std::optional<Rational> divide(const Rational& a, const Rational& b) {
    return reduce(Wide{a.numerator_} * b.denominator_, Wide{a.denominator_} * b.numerator_);
  }

 private:
  __extension__ using Wide = __int128;

  static std::optional<Rational> reduce(Wide numerator, Wide denominator) {
    if (denominator == 0) return std::nullopt;
    if (denominator < 0) {
      numerator = -numerator;
      denominator = -denominator;
    }
    Wide a = numerator < 0 ? -numerator : numerator;
    Wide b = denominator;
    while (b != 0) {
      const Wide rest = a % b;
      a = b;
      b = rest;
    }
    numerator /= a;
    denominator /= a;
    // The smallest integer is left out, so that every fraction can be negated.
    if (numerator > INT64_MAX || numerator < -INT64_MAX || denominator > INT64_MAX) return std::nullopt;
    Rational out;
    out.numerator_ = static_cast<int64_t>(numerator);
    out.denominator_ = static_cast<int64_t>(denominator);
    return out;
  }

  int64_t numerator_ = 0;
  int64_t denominator_ = 1;
};

}  // namespace hadal::eval
