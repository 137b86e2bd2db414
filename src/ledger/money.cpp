#include "ledger/money.h"

#include <fmt/format.h>

#include "base/error.h"

namespace hadal::ledger {

namespace {

constexpr size_t kDecimals = 9;

bool is_digits(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Nanos parse_money(std::string_view text, const std::string& what) {
  const std::string_view whole = text;
  const bool negative = text.starts_with('-');
  if (negative) text.remove_prefix(1);
  const size_t point = text.find('.');
  const std::string_view units = text.substr(0, point);
  const std::string_view decimals = point == std::string_view::npos ? "0" : text.substr(point + 1);
  if (!is_digits(units) || !is_digits(decimals)) {
    throw_error(ErrorCode::kBadInput, "[ledger] {}: \"{}\" is not an amount; write it like 12.50", what,
                whole.substr(0, 40));
  }
  if (decimals.size() > kDecimals) {
    throw_error(ErrorCode::kBadInput, "[ledger] {}: {} has {} decimals; at most {} are kept", what,
                whole.substr(0, 40), decimals.size(), kDecimals);
  }
  Nanos amount = 0;
  for (const char c : units) {
    amount = amount * 10 + (c - '0');
    if (amount > kMostMoney / kNanosPerUnit) {
      throw_error(ErrorCode::kBadInput, "[ledger] {}: {} is over {}", what, whole.substr(0, 40),
                  kMostMoney / kNanosPerUnit);
    }
  }
  Nanos fraction = 0;
  for (size_t i = 0; i < kDecimals; ++i)
    fraction = fraction * 10 + (i < decimals.size() ? decimals[i] - '0' : 0);
  amount = amount * kNanosPerUnit + fraction;
  return negative ? -amount : amount;
}

std::string money_text(Nanos amount) {
  // As unsigned: the lowest int64 has no positive one.
  const uint64_t size = amount < 0 ? ~static_cast<uint64_t>(amount) + 1 : static_cast<uint64_t>(amount);
  std::string text =
      fmt::format("{}{}.{:09}", amount < 0 ? "-" : "", size / kNanosPerUnit, size % kNanosPerUnit);
  const size_t shortest = text.size() - kDecimals + 2;
  while (text.size() > shortest && text.back() == '0') text.pop_back();
  return text;
}

}  // namespace hadal::ledger
