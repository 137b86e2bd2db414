// The keys as a server holds them in memory: who is asking, what is left, what is under way. Any thread; no
// call waits for the database. What the database says is load()ed now and then.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "ledger/records.h"

namespace hadal::ledger {

struct Caller {
  std::string key_id;
  std::string name;
  bool admin = false;
  bool consent = false;
  int priority = 0;
};

enum class Verdict {
  kAdmitted,
  kUnknownKey,  // revoked a moment ago
  kModel,       // not one of the key's
  kBalance,
  kConcurrency,
  kTokensPerMinute,
  kDailyTokens,
  kMonthlySpend,
  kBusy,  // no room in the journal
};

struct Decision {
  Verdict verdict = Verdict::kAdmitted;
  int64_t limit = 0;         // that was reached
  double retry_seconds = 0;  // until it is worth asking again
};

// Balance and use, with what running requests have sent so far.
struct Standing {
  Nanos granted = 0;
  Nanos topped_up = 0;
  int64_t running = 0;
  DayTotal today;
  bool can_spend = true;  // a request that costs something would be admitted, as far as the balance goes
};

class Accounts {
 public:
  // Every key, and the days' totals from the month's first day on, as the database has them now. What was
  // sent and is not settled stays on top.
  void load(std::vector<Key> keys, const std::vector<DayTotal>& totals, int64_t now);

  // The key with that secret, if it is valid now. Takes as long whatever part of it is wrong.
  std::optional<Caller> authenticate(std::string_view secret, int64_t now) const;

  // Takes a place among the key's requests, until leave(). The prompt counts for the minute at once.
  Decision admit(const std::string& key_id, std::string_view asked_model, std::string_view served_model,
                 int64_t prompt_tokens, bool costs, int64_t now);
  void leave(const std::string& key_id);

  // A running request has sent more. `fresh_tokens` count for the minute.
  void add_unsettled(const std::string& key_id, int64_t tokens, Nanos cost, int64_t fresh_tokens,
                     int64_t now);
  // A record is in the database; what of it was counted as unsettled is no longer.
  void settled(const UsageRecord& record, int64_t unsettled_tokens, Nanos unsettled_cost);

  std::optional<Standing> standing(const std::string& key_id, int64_t now) const;
  std::string name_of(const std::string& key_id) const;  // empty: unknown

 private:
  struct Second {
    int64_t second = 0;  // since 1970
    int64_t tokens = 0;
  };
  struct Account {
    Key key;
    std::unordered_map<int64_t, DayTotal> days;  // of this month
    int64_t running = 0;
    int64_t unsettled_tokens = 0;
    Nanos unsettled_cost = 0;
    std::array<Second, 60> minute;
  };

  DayTotal today(const Account& account, int64_t now) const;
  static Nanos month_cost(const Account& account, int64_t now);
  static void count_minute(Account& account, int64_t tokens, int64_t now);
  static double wait_for_minute(const Account& account, int64_t tokens, int64_t limit, int64_t now);
  Decision judge(const Account& account, std::string_view asked_model, std::string_view served_model,
                 int64_t prompt_tokens, bool costs, int64_t now) const;

  mutable std::mutex mutex_;                                // guards what follows
  std::unordered_map<std::string, Account> accounts_;       // by key id
  std::unordered_map<std::string, std::string> by_prefix_;  // key ids, of secrets before a rotation too
};

}  // namespace hadal::ledger
