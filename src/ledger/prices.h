// The price table, a TOML file (docs/guide/keys.md): per model, nano-units per million tokens for prompt
// tokens that were in the cache (hit), that were not (miss), and for output; with windows of the day (UTC) in
// which other prices hold.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ledger/money.h"

namespace hadal::ledger {

struct Tokens {
  int64_t prompt = 0;
  int64_t cached = 0;  // of the prompt
  int64_t completion = 0;
  int64_t reasoning = 0;  // of the completion
};

struct Price {  // nano-units per million tokens
  Nanos hit = 0;
  Nanos miss = 0;
  Nanos output = 0;
};

// Exact, then rounded once to whole nano-units, halves up. Never wraps: it ends at kMostMoney.
Nanos cost_of(const Price& price, const Tokens& tokens);

struct PriceWindow {
  int from_minute = 0;      // of the day, UTC
  int to_minute = 0;        // not included; at or before from_minute: over midnight
  uint8_t weekdays = 0x7F;  // bit 0: Monday; of the day on which the window begins
  Price price;
};

struct ModelPrice {
  std::string model;  // "*": every model without a row
  Price price;
  std::vector<PriceWindow> windows;  // the first that holds is taken
};

struct PriceTable {
  std::string currency = "USD";
  std::vector<ModelPrice> models;

  // Throws Error{kBadInput} naming the file, the line and the key.
  static PriceTable load(const std::string& path);
  static PriceTable parse(std::string_view text, const std::string& name);

  // The row of the first of these names that has one, else of "*", else null.
  const ModelPrice* find(std::string_view asked, std::string_view served) const;
};

// What holds at that time.
const Price& price_at(const ModelPrice& model, int64_t unix_seconds);
bool is_off_peak(const ModelPrice& model, int64_t unix_seconds);

}  // namespace hadal::ledger
