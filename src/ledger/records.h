// What the ledger keeps, as values. Times are Unix milliseconds.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "ledger/money.h"
#include "ledger/prices.h"

namespace hadal::ledger {

struct Limits {                              // none: no limit
  std::optional<int64_t> concurrency;        // requests under way
  std::optional<int64_t> tokens_per_minute;  // prompt and completion
  std::optional<int64_t> daily_tokens;       // of a day in UTC
  std::optional<Nanos> monthly_spend;        // of a calendar month in UTC
};

inline constexpr int kMostPriority = 100;
inline constexpr size_t kMostNameBytes = 100;
inline constexpr size_t kMostModels = 64;

struct KeySettings {
  std::string name;
  Limits limits;
  int priority = 0;                 // larger first
  std::vector<std::string> models;  // empty: all
  bool consent = false;             // its owner lets feedback be stored
  bool postpaid = false;            // its balance may go below zero
};

struct Key {
  std::string id;
  KeySettings settings;
  std::string prefix;           // the secret's public beginning
  std::string hash;             // secret_hash() of the secret
  std::string previous_prefix;  // of the secret before the last rotation, valid until previous_until
  std::string previous_hash;
  int64_t previous_until = 0;
  bool admin = false;
  bool revoked = false;
  int64_t created = 0;
  int64_t last_used = 0;  // 0: never
  Nanos granted = 0;      // the balance is the sum; granted is spent first
  Nanos topped_up = 0;

  Nanos balance() const { return granted + topped_up; }
};

struct UsageRecord {
  std::string request_id;  // unique: a record that is written twice counts once
  std::string key_id;
  std::string model;
  std::string endpoint;  // "chat/completions", "completions", "messages" or "responses"
  std::string status;    // "stop", "length", "cancelled", "failed" or "crashed"
  int64_t started = 0;
  int64_t ended = 0;
  Tokens tokens;  // that are charged: docs/guide/keys.md
  Nanos cost = 0;
};

struct UsageFilter {
  int64_t from = 0;    // of UsageRecord::ended, included
  int64_t to = 0;      // not included
  std::string key_id;  // empty: all
  std::string model;
};

enum class UsageBy { kHour, kDay, kKey, kModel };
enum class UsageSplit { kNone, kKey, kModel };

struct UsageRow {
  int64_t start = 0;   // by hour or day
  std::string key_id;  // empty unless grouped by it
  std::string model;
  int64_t requests = 0;
  int64_t failed = 0;  // of these, "failed" or "crashed"
  Tokens tokens;
  Nanos cost = 0;

  UsageRow& operator+=(const UsageRow& other);  // the sums
};

struct DayTotal {  // of a key
  std::string key_id;
  int64_t day = 0;  // since 1970, UTC
  int64_t requests = 0;
  int64_t tokens = 0;
  Nanos cost = 0;
};

struct Feedback {
  int64_t at = 0;
  std::string key_id;
  std::string request_id;
  std::string rating;  // "up" or "down"
  std::string comment;
  std::string conversation;  // JSON text, perhaps empty
};

inline constexpr int64_t kMostFeedbackEntries = 10'000;  // of a key
inline constexpr int64_t kMostFeedbackBytes = int64_t{64} << 20;

enum class FeedbackFate { kStored, kNoConsent, kFull };

struct FeedbackTotal {  // of a key
  int64_t entries = 0;
  int64_t bytes = 0;  // of comments and conversations
};

inline constexpr int64_t kHourMs = 3'600'000;
inline constexpr int64_t kDayMs = 24 * kHourMs;

int64_t unix_ms();
int64_t first_day_of_month(int64_t day);  // both since 1970, UTC

}  // namespace hadal::ledger
