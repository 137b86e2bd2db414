// The keys as a server holds them in memory: who is asking, what is left, what is under way. Any thread; no
// call waits for the database. What the database says is load()ed now and then.
#pragma once

#include <array>
#include <atomic>
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
  kRefusedTokens,  // kMostRefusedTokens
  kBusy,           // no room in the journal
};

struct Decision {
  Verdict verdict = Verdict::kAdmitted;
  int64_t limit = 0;         // that was reached
  double retry_seconds = 0;  // until it is worth asking again
  bool reserved = false;     // by what runs, which may come to less
};

enum class Purpose {
  kGenerate,
  kTokenize,  // text is only counted
};

// What a running request has had, or the most that it may come to.
struct Claim {
  int64_t tokens = 0;  // prompt and completion
  Nanos cost = 0;
  int64_t unseen = 0;  // of the completion, not in the minute yet
};

// Balance and use, with what running requests have been sent so far.
struct Standing {
  Nanos granted = 0;
  Nanos topped_up = 0;
  int64_t running = 0;
  DayTotal today;
  bool can_spend = true;  // a request that costs something would be admitted, as far as the balance goes
};

// Of a key's prompts in a minute that were made, and then did not fit its limits or were refused for
// something else: about a second's work. Who asks on is refused before anything is made.
inline constexpr int64_t kMostRefusedTokens = 1'000'000;

// Limits are looked at in three steps, each when its question can be answered: enter() before anything is
// made of a request, allow() once its model is known, claim() once its prompt has been counted. A claim is
// the most that the request may come to; it is held from then on and shrinks to what the request was. Who
// asks has to find room for its prompt beside what is used and claimed, and some money beside what is spent
// and claimed: so a limit is passed by one request's answer at the most, however many begin at once.
class Accounts {
 public:
  // Every key, and the days' totals from the month's first day on, as the database has them now. What runs or
  // is not settled stays on top. However many there are, the other calls wait for no more than a swap; but
  // load() and settled() are one thread's.
  void load(std::vector<Key> keys, std::vector<DayTotal> totals, int64_t now);

  // The key with that secret, if it is valid now. Takes as long whatever part of it is wrong.
  std::optional<Caller> authenticate(std::string_view secret, int64_t now) const;

  // Takes a place among the key's requests, until leave(). `costs`: whatever it asks for will cost something.
  Decision enter(const std::string& key_id, Purpose purpose, bool costs, int64_t now);
  void leave(const std::string& key_id);
  Decision allow(const std::string& key_id, std::string_view asked_model, std::string_view served_model,
                 bool costs, int64_t now) const;
  // The prompt counts for the minute at once, or as refused.
  Decision claim(const std::string& key_id, int64_t prompt_tokens, const Claim& most, int64_t now);
  // A prompt that was made and is refused before claim().
  void count_refused(const std::string& key_id, int64_t prompt_tokens, int64_t now);
  // Tokens that were counted for a caller, not generated from: they have a minute of their own, as large as
  // the other, so that counting a prompt takes nothing from asking with it.
  void count_tokenized(const std::string& key_id, int64_t tokens, int64_t now);

  // Of one running request: what it was sent, and what it claims; both are differences. `fresh_tokens` count
  // for the minute.
  void change(const std::string& key_id, const Claim& sent, const Claim& claimed, int64_t fresh_tokens,
              int64_t now);
  // A record is in the database; all of it was sent and claimed.
  void settled(const UsageRecord& record);

  std::optional<Standing> standing(const std::string& key_id, int64_t now) const;
  std::string name_of(const std::string& key_id) const;  // empty: unknown

 private:
  // The tokens of the last 60 seconds.
  class Minute {
   public:
    void count(int64_t tokens, int64_t now);
    double wait_for(int64_t tokens, int64_t limit, int64_t now) const;  // seconds until they fit; 0: now

   private:
    struct Second {
      int64_t second = 0;  // since 1970
      int64_t tokens = 0;
    };
    std::array<Second, 60> seconds_;
  };
  // What the database says of a key.
  struct Account {
    Key key;
    std::vector<DayTotal> days;  // of this month
  };
  // Swapped by load().
  struct Book {
    std::unordered_map<std::string, Account> accounts;       // by key id
    std::unordered_map<std::string, std::string> by_prefix;  // key ids, of secrets before a rotation too
  };
  // What this server knows besides.
  struct Activity {
    int64_t running = 0;
    Claim sent;     // and not settled
    Claim claimed;  // that too, and what may come
    Minute minute, tokenized, refused;
  };

  const Account* find(const std::string& key_id) const;  // null: unknown
  const Activity& activity(const std::string& key_id) const;
  static DayTotal today(const Account& account, int64_t now);
  static Decision judge_money(const Account& account, const Activity& activity, bool costs, int64_t now);
  static Decision judge_tokens(const Account& account, const Activity& activity, int64_t prompt_tokens,
                               int64_t now);

  mutable std::mutex mutex_;  // guards what follows
  Book book_;
  std::unordered_map<std::string, Activity> activities_;  // of the keys that were used, by id
};

// One of the places that enter() took; it is free again with leave(), or when the last reference goes. A
// prompt that was made there and that nobody asked a claim for counts as refused then.
class Place {
 public:
  // `accounts` must outlive it.
  Place(Accounts& accounts, std::string key_id) : accounts_(accounts), key_id_(std::move(key_id)) {}
  ~Place() { leave(); }
  Place(const Place&) = delete;
  Place& operator=(const Place&) = delete;
  // So many tokens of it, perhaps better known than before.
  void made(int64_t prompt_tokens) { made_ = prompt_tokens; }
  // They are counted elsewhere from here.
  void counted() { made_ = 0; }
  void leave();

 private:
  Accounts& accounts_;
  const std::string key_id_;
  std::atomic<int64_t> made_{0};
  std::atomic<bool> left_{false};
};

}  // namespace hadal::ledger
