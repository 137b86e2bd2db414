// Money: whole nano-units (10^-9) of one currency, so that sums are exact. Text is a decimal number with at
// most nine digits behind the point, as people and the API write it.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hadal::ledger {

using Nanos = int64_t;

inline constexpr Nanos kNanosPerUnit = 1'000'000'000;
// The most that a text may say, either way: below what an int64 holds, so that sums of a few do not wrap.
inline constexpr Nanos kMostMoney = 1'000'000'000 * kNanosPerUnit;

// "12", "-0.25", "0.000000001". Throws Error{kBadInput} "[ledger] WHAT: ..." for anything else, for more than
// nine decimals, and for amounts beyond kMostMoney.
Nanos parse_money(std::string_view text, const std::string& what);

// Exact: "12.00", "-0.25", "0.000000001". At least two decimals, no zeros behind those.
std::string money_text(Nanos amount);

}  // namespace hadal::ledger
