#include "cli/ledger_flags.h"

#include <fmt/format.h>

#include <charconv>
#include <chrono>

#include "base/error.h"

namespace hadal::cli {

namespace {

constexpr int64_t kSecondMs = 1000;

// `text` as digits, all of it.
std::optional<int64_t> number(std::string_view text) {
  int64_t value = 0;
  const char* end = text.data() + text.size();
  const auto [stopped, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc() || stopped != end || value < 0) return {};
  return value;
}

std::optional<int64_t> parse_age(std::string_view text) {
  if (text.size() < 2 || text.size() > 8) return {};
  const int64_t unit = text.back() == 's'   ? kSecondMs
                       : text.back() == 'm' ? 60 * kSecondMs
                       : text.back() == 'h' ? ledger::kHourMs
                       : text.back() == 'd' ? ledger::kDayMs
                                            : 0;
  const auto count = number(text.substr(0, text.size() - 1));
  if (unit == 0 || !count) return {};
  return *count * unit;
}

std::optional<int64_t> parse_date(std::string_view text) {
  using namespace std::chrono;
  if (text.size() < 10 || text[4] != '-' || text[7] != '-') return {};
  const auto y = number(text.substr(0, 4)), m = number(text.substr(5, 2)), d = number(text.substr(8, 2));
  if (!y || !m || !d) return {};
  const year_month_day date{year(static_cast<int>(*y)), month(static_cast<unsigned>(*m)),
                            day(static_cast<unsigned>(*d))};
  if (!date.ok()) return {};
  int64_t ms = int64_t{sys_days{date}.time_since_epoch().count()} * ledger::kDayMs;
  text.remove_prefix(10);
  if (text.empty()) return ms;
  if ((text.size() != 6 && text.size() != 9) || (text[0] != 'T' && text[0] != ' ') || text[3] != ':')
    return {};
  const auto hour = number(text.substr(1, 2)), minute = number(text.substr(4, 2));
  const auto second =
      text.size() == 9 && text[6] == ':' ? number(text.substr(7, 2)) : std::optional<int64_t>(0);
  if (!hour || !minute || !second || *hour > 23 || *minute > 59 || *second > 59) return {};
  if (text.size() == 9 && text[6] != ':') return {};
  return ms + *hour * ledger::kHourMs + *minute * 60 * kSecondMs + *second * kSecondMs;
}

std::string formatted(int64_t unix_ms, bool with_time) {
  using namespace std::chrono;
  const auto at = sys_seconds{seconds{unix_ms / kSecondMs}};
  const auto day = floor<days>(at);
  const year_month_day date{day};
  const std::string text =
      fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                  static_cast<unsigned>(date.day()));
  if (!with_time) return text;
  const hh_mm_ss time{at - day};
  return text + fmt::format(" {:02}:{:02}:{:02}", time.hours().count(), time.minutes().count(),
                            time.seconds().count());
}

}  // namespace

CLI::Option* add_keys_option(CLI::App& command, std::string& database) {
  return command
      .add_option(
          "--keys", database,
          "the database of keys and usage: a file (SQLite), or postgresql://USER@HOST/NAME; also HADAL_KEYS")
      ->envname("HADAL_KEYS");
}

std::unique_ptr<ledger::Store> open_store(const std::string& database) {
  if (database.empty()) {
    throw_error(
        ErrorCode::kBadInput,
        "[keys] which database? Give --keys FILE (it is made when it is not there) or set HADAL_KEYS");
  }
  return ledger::Store::open(database);
}

std::string currency_of(ledger::Store& store) {
  const std::string currency = store.currency();
  return currency.empty() ? "USD" : currency;
}

int64_t parse_time(const std::string& text, const std::string& what) {
  if (const auto age = parse_age(text)) return ledger::unix_ms() - *age;
  if (const auto at = parse_date(text)) return *at;
  throw_error(ErrorCode::kBadInput,
              "[usage] {}: \"{}\" is not a date such as 2026-11-22 or 2026-11-22T14:30 (UTC), nor an age "
              "such as 12h or 7d",
              what, text);
}

std::string time_text(int64_t unix_ms) { return formatted(unix_ms, true); }
std::string day_text(int64_t unix_ms) { return formatted(unix_ms, false); }

}  // namespace hadal::cli
