// Numbers as models and answer keys write them, exactly: "46", "-3", "1,234", "$5", "0.25", "1.5e3", "3/4",
// "\frac{3}{4}", "50%" (the sign is dropped: an answer in per cent stays one).
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "eval/verify/rational.h"

namespace hadal::eval {

// The whole of `text`, but white space around it and a full stop behind it. Nothing for what is no number,
// or does not fit a fraction of 64-bit integers.
std::optional<Rational> parse_number(std::string_view text);

// "3 5 8", "3, 5, 8" or "[3, 5, 8]": whole numbers. Nothing for anything else, an empty list, or over 10,000.
std::optional<std::vector<int64_t>> parse_integers(std::string_view text);

}  // namespace hadal::eval
