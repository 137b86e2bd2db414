// The ledger's tables: keys, credits, usage records, feedback, in SQLite or PostgreSQL. Balances agree with
// the records at any moment that anyone can see: granted + topped_up = credits - costs, of every key.
// One thread at a time; several processes may use the same database. Errors are the database's (database.h).
#pragma once

#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "ledger/database.h"
#include "ledger/records.h"

namespace hadal::ledger {

class Store {
 public:
  // A file's path (SQLite) or a postgresql:// URL; makes the tables where there are none. Throws
  // Error{kUnsupported} for tables of a newer Hadal.
  static std::unique_ptr<Store> open(const std::string& database);

  const char* backend() const { return database_->backend(); }

  // Money's name. Empty until it was set; a database has one. set_currency throws Error{kBadInput} for
  // another.
  std::string currency();
  void set_currency(const std::string& currency);

  // ---- Keys (store_keys.cpp)

  int64_t generation();     // another number after every change of a key or a credit
  std::vector<Key> keys();  // oldest first
  std::optional<Key> find_key(const std::string& id);
  // The key whose id, prefix or (if only one that is not revoked has it) name this is. Throws
  // Error{kBadInput}.
  Key require_key(const std::string& id_or_name);
  // With a balance of `credit`, in one transaction; what `key` says of its balance does not matter. Throws
  // Error{kBadInput} when a settings value is out of range.
  void add_key(const Key& key, Nanos credit = 0);
  // All but its balance, creation and last use. False: there is none.
  bool update_key(const Key& key);
  // Adds to the balance (less than zero: takes away) and writes the credit down. With `once` (1 to
  // kMostOnceBytes bytes that the caller makes up) a credit that is asked for again changes nothing. Throws
  // Error{kBadInput} when the key had another amount under that name, and when the balance leaves its range.
  enum class Credit { kAdded, kKnown, kNoKey };
  Credit credit(const std::string& key_id, Nanos amount, bool granted, const std::string& once = {});

  // ---- Usage (store_usage.cpp)

  // Writes records, changes balances and the days' totals in one transaction. A request id that is known
  // already changes nothing. Returns how many were new.
  size_t settle(std::span<const UsageRecord> records);
  std::vector<UsageRow> usage(const UsageFilter& filter, UsageBy by, UsageSplit split = UsageSplit::kNone);
  std::vector<UsageRecord> records(const UsageFilter& filter, int64_t limit);  // newest first
  std::vector<DayTotal> day_totals(int64_t from_day);
  // Keys whose balance is not what credits and records say: none, ever.
  std::vector<std::string> disagreements();

  // ---- Feedback (store_feedback.cpp)

  // Whether the key made that request, and it ended at `since` or later.
  bool has_request(const std::string& key_id, const std::string& request_id, int64_t since);
  // Takes the place of what the key has said of that request. Nothing is stored without its owner's consent,
  // as the database has it at this moment, or past kMostFeedback...
  FeedbackFate add_feedback(const Feedback& feedback);
  FeedbackTotal feedback_total(const std::string& key_id);
  // Its owner's word; with `delete_stored` what was stored goes. How many entries went; none: no such key.
  std::optional<int64_t> set_consent(const std::string& key_id, bool consent, bool delete_stored);
  std::vector<Feedback> feedback(int64_t limit);  // newest first
  int64_t feedback_count();

 private:
  explicit Store(std::unique_ptr<Database> database) : database_(std::move(database)) {}
  void make_tables();
  void next_generation();
  void add_credit(const std::string& id, const Key& key, Nanos amount, bool granted);

  std::unique_ptr<Database> database_;
};

inline constexpr size_t kMostOnceBytes = 200;

// Throws Error{kBadInput} naming what is out of range.
void check_settings(const KeySettings& settings);

// A new secret for `key`; the one before stays valid for so long. Returns the secret; update_key() keeps it.
std::string renew_secret(Key& key, int64_t grace_ms);

// Columns of rows, by their place.
int64_t number_at(const Row& row, size_t column);    // 0 for null
std::string text_at(const Row& row, size_t column);  // empty for null

}  // namespace hadal::ledger
