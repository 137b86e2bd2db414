#include "ledger/prices.h"

#include <algorithm>
#include <array>

#include "base/error.h"
#include "base/toml_reader.h"

namespace hadal::ledger {

using base::TomlTable;

namespace {

__extension__ typedef __int128 Wide;  // prices times tokens do not fit 64 bits

constexpr const char* kArea = "prices";
constexpr std::array<const char*, 7> kWeekdays = {"mon", "tue", "wed", "thu", "fri", "sat", "sun"};
constexpr int kMinutesPerDay = 24 * 60;
constexpr int kEpochWeekday = 3;  // 1 January 1970 was a Thursday

Nanos read_price(const TomlTable& table, const std::string& key, Nanos fallback) {
  const std::string text = table.get_string(key, "");
  if (text.empty()) {
    if (fallback < 0)
      table.fail(key, "missing: give the price of a million tokens as text, such as \"0.14\"");
    return fallback;
  }
  Nanos price = 0;
  try {
    price = parse_money(text, key);
  } catch (const Error&) {
    table.fail(key, "\"" + text.substr(0, 40) + "\" is not an amount with at most nine decimals");
  }
  if (price < 0) table.fail(key, "a price cannot be below zero");
  return price;
}

int read_minute(const TomlTable& table, const std::string& key) {
  const std::string text = table.require_string(key);
  const auto digit = [&](size_t i) { return text[i] >= '0' && text[i] <= '9' ? text[i] - '0' : 99; };
  if (text.size() == 5 && text[2] == ':') {
    const int hour = 10 * digit(0) + digit(1);
    const int minute = 10 * digit(3) + digit(4);
    if (hour < 24 && minute < 60) return 60 * hour + minute;
  }
  table.fail(key, "\"" + text.substr(0, 40) + "\" is not a time of the day in UTC, such as \"16:30\"");
}

uint8_t read_weekdays(const TomlTable& table) {
  const auto names = table.get_strings("days");
  if (names.empty()) return 0x7F;
  uint8_t days = 0;
  for (const std::string& name : names) {
    const auto at = std::ranges::find(kWeekdays, name);
    if (at == kWeekdays.end())
      table.fail("days", "\"" + name.substr(0, 40) + "\" is not mon, tue, ... or sun");
    days = static_cast<uint8_t>(days | 1 << (at - kWeekdays.begin()));
  }
  return days;
}

PriceTable read_table(const TomlTable& file) {
  PriceTable table;
  table.currency = file.get_string("currency", "USD");
  const bool word = table.currency.size() == 3 &&
                    std::ranges::all_of(table.currency, [](char c) { return c >= 'A' && c <= 'Z'; });
  if (!word) file.fail("currency", "three capital letters are needed, such as \"USD\"");
  for (const TomlTable& row : file.tables("model")) {
    ModelPrice model;
    model.model = row.require_string("name");
    for (const ModelPrice& other : table.models) {
      if (other.model == model.model) row.fail("name", "\"" + model.model + "\" has a row already");
    }
    model.price = {read_price(row, "hit", -1), read_price(row, "miss", -1), read_price(row, "output", -1)};
    for (const TomlTable& inner : row.tables("off_peak")) {
      PriceWindow window;
      window.from_minute = read_minute(inner, "from");
      window.to_minute = read_minute(inner, "to");
      window.weekdays = read_weekdays(inner);
      window.price = {read_price(inner, "hit", model.price.hit), read_price(inner, "miss", model.price.miss),
                      read_price(inner, "output", model.price.output)};
      model.windows.push_back(window);
    }
    table.models.push_back(std::move(model));
  }
  file.reject_unknown();
  return table;
}

bool holds(const PriceWindow& window, int64_t unix_seconds) {
  const int64_t minutes = unix_seconds / 60;
  const auto minute = static_cast<int>(minutes % kMinutesPerDay);
  int64_t day = minutes / kMinutesPerDay;
  const bool over_midnight = window.to_minute <= window.from_minute;
  if (over_midnight && minute < window.to_minute) {
    --day;  // it began yesterday
  } else if (minute < window.from_minute || (!over_midnight && minute >= window.to_minute)) {
    return false;
  }
  return (window.weekdays >> ((day + kEpochWeekday) % 7) & 1) != 0;
}

}  // namespace

Nanos cost_of(const Price& price, const Tokens& tokens) {
  constexpr Wide kMillion = 1'000'000;
  const Wide exact = Wide{price.hit} * tokens.cached + Wide{price.miss} * (tokens.prompt - tokens.cached) +
                     Wide{price.output} * tokens.completion;
  return static_cast<Nanos>(std::min<Wide>((exact + kMillion / 2) / kMillion, kMostMoney));
}

PriceTable PriceTable::load(const std::string& path) { return read_table(TomlTable::load(path, kArea)); }

PriceTable PriceTable::parse(std::string_view text, const std::string& name) {
  return read_table(TomlTable::parse(text, name, kArea));
}

const ModelPrice* PriceTable::find(std::string_view asked, std::string_view served) const {
  for (const std::string_view name : {asked, served, std::string_view("*")}) {
    for (const ModelPrice& model : models) {
      if (model.model == name) return &model;
    }
  }
  return nullptr;
}

const Price& price_at(const ModelPrice& model, int64_t unix_seconds) {
  for (const PriceWindow& window : model.windows) {
    if (holds(window, unix_seconds)) return window.price;
  }
  return model.price;
}

bool is_off_peak(const ModelPrice& model, int64_t unix_seconds) {
  return std::ranges::any_of(model.windows, [&](const PriceWindow& w) { return holds(w, unix_seconds); });
}

}  // namespace hadal::ledger
