#include "ledger/accounts.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "ledger/secrets.h"
#include "ledger/store.h"

namespace hadal::ledger {
namespace {

constexpr int64_t kNow = 1795305600'000 + 12 * kHourMs;  // Sunday, 22 November 2026, noon
constexpr int64_t kToday = kNow / kDayMs;

class AccountsTest : public testing::Test {
 protected:
  AccountsTest() {
    key_.id = "key_a";
    key_.settings.name = "a";
    key_.settings.postpaid = true;
    secret_ = renew_secret(key_, 0);
    load();
  }
  void load(const std::vector<DayTotal>& totals = {}) { accounts_.load({key_}, totals, kNow); }
  // All three steps; one that is let in stays until leave(), and claims its prompt and `most`.
  Decision ask(int64_t prompt = 10, int64_t now = kNow, Nanos cost = 1, int64_t most = 0) {
    Decision decision = accounts_.enter("key_a", Purpose::kGenerate, cost > 0, now);
    if (decision.verdict != Verdict::kAdmitted) return decision;
    decision = accounts_.allow("key_a", "asked", "served", cost > 0, now);
    if (decision.verdict == Verdict::kAdmitted)
      decision = accounts_.claim("key_a", prompt, {prompt + most, cost, most}, now);
    if (decision.verdict != Verdict::kAdmitted) accounts_.leave("key_a");
    return decision;
  }
  // A request that was let in has ended: it came to nothing.
  void end(int64_t prompt = 10, Nanos cost = 1, int64_t most = 0) {
    accounts_.change("key_a", {}, {-prompt - most, -cost, -most}, 0, kNow);
    accounts_.leave("key_a");
  }
  // Something was sent that nobody had claimed.
  void send(int64_t tokens, Nanos cost, int64_t fresh = 0, int64_t now = kNow) {
    accounts_.change("key_a", {tokens, cost, 0}, {tokens, cost, 0}, fresh, now);
  }
  UsageRecord settled_record(Nanos cost) {
    return {"r", "key_a", "served", "chat", "stop", kNow, kNow, Tokens{10, 0, 5, 0}, cost};
  }

  Accounts accounts_;
  Key key_;
  std::string secret_;
};

// Of a piece of an answer that leaves, which the engine's thread counts.
TEST_F(AccountsTest, NobodyWaitsWhileManyKeysAreLoaded) {
  std::vector<Key> keys;
  std::vector<DayTotal> totals;
  for (int i = 0; i < 20'000; ++i) {
    Key key = key_;
    key.id = "key_" + std::to_string(i);
    key.prefix = "sk-" + std::to_string(i);
    for (int day = 0; day < 5; ++day) totals.push_back({key.id, kToday - day, 1, 2, 3});
    keys.push_back(std::move(key));
  }
  keys.push_back(key_);
  using Clock = std::chrono::steady_clock;
  bool passed = false;
  for (int attempt = 0; attempt < 60 && !passed; ++attempt) {
    std::atomic<bool> begun{false}, done{false};
    Clock::duration longest{};
    std::thread engine([&] {
      auto last = Clock::now();
      while (!done) {
        send(1, 1);
        begun = true;
        const auto now = Clock::now();
        longest = std::max(longest, now - std::exchange(last, now));
      }
    });
    auto keys_copy = keys;
    auto totals_copy = totals;
    while (!begun) std::this_thread::yield();
    const auto start = Clock::now();
    accounts_.load(std::move(keys_copy), std::move(totals_copy), kNow);
    const auto took = Clock::now() - start;
    done = true;
    engine.join();
    passed = 2 * longest < took;
  }
  EXPECT_TRUE(passed);
  EXPECT_EQ(accounts_.name_of("key_19999"), "a");
  EXPECT_EQ(accounts_.standing("key_7", kNow)->today.tokens, 2);
  EXPECT_GT(accounts_.standing("key_a", kNow)->today.tokens, 0);  // what was sent meanwhile stays on top
  load();
  EXPECT_EQ(accounts_.name_of("key_19999"), "");
}

TEST_F(AccountsTest, AKeysPromptsThatWereRefusedAreBounded) {
  for (const bool counted : {true, false}) {
    ASSERT_EQ(ask(1).verdict, Verdict::kAdmitted);
    Place place(accounts_, "key_a");
    place.made(5);
    place.made(kMostRefusedTokens);
    if (counted) place.counted();
  }
  // A place counts with the time of day.
  EXPECT_EQ(accounts_.enter("key_a", Purpose::kTokenize, false, unix_ms()).verdict, Verdict::kRefusedTokens);
}

TEST_F(AccountsTest, KnowsItsSecretsAndNoOthers) {
  EXPECT_EQ(accounts_.authenticate(secret_, kNow)->key_id, "key_a");
  std::string wrong = secret_;
  wrong.back() = wrong.back() == 'x' ? 'y' : 'x';
  for (const std::string& text : {wrong, std::string(), secret_ + "x", secret_.substr(0, 42), make_secret(),
                                  key_.prefix, key_.hash, std::string(100'000, 'k')}) {
    EXPECT_FALSE(accounts_.authenticate(text, kNow).has_value()) << text.substr(0, 60);
  }
  key_.revoked = true;
  load();
  EXPECT_FALSE(accounts_.authenticate(secret_, kNow).has_value());
  EXPECT_EQ(ask().verdict, Verdict::kUnknownKey);  // it was valid a moment ago
}

TEST_F(AccountsTest, AnOldSecretWorksForItsGrace) {
  const std::string fresh = renew_secret(key_, 60'000);
  key_.previous_until = kNow + 60'000;
  load();
  EXPECT_TRUE(accounts_.authenticate(fresh, kNow).has_value());
  EXPECT_TRUE(accounts_.authenticate(secret_, kNow).has_value());
  EXPECT_FALSE(accounts_.authenticate(secret_, kNow + 60'000).has_value());
  EXPECT_TRUE(accounts_.authenticate(fresh, kNow + 60'000).has_value());
}

TEST_F(AccountsTest, AllowsTheKeysModelsOnly) {
  key_.settings.models = {"other"};
  load();
  EXPECT_EQ(ask().verdict, Verdict::kModel);
  for (const char* name : {"asked", "served"}) {
    key_.settings.models = {"other", name};
    load();
    EXPECT_EQ(ask().verdict, Verdict::kAdmitted) << name;
  }
}

TEST_F(AccountsTest, APrepaidKeyNeedsABalance) {
  key_.settings.postpaid = false;
  load();
  EXPECT_EQ(ask().verdict, Verdict::kBalance);
  EXPECT_FALSE(ask().reserved);
  EXPECT_EQ(ask(10, kNow, /*cost=*/0).verdict, Verdict::kAdmitted);
  key_.granted = 100;
  key_.topped_up = 50;
  load();
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  end();
  send(10, 120);
  EXPECT_EQ(accounts_.standing("key_a", kNow)->granted, 0);  // granted goes first
  EXPECT_EQ(accounts_.standing("key_a", kNow)->topped_up, 30);
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  end();
  send(5, 30);  // what runs has spent the rest
  EXPECT_EQ(ask().verdict, Verdict::kBalance);
  EXPECT_FALSE(accounts_.standing("key_a", kNow)->can_spend);
  accounts_.settled(settled_record(150));  // and is settled: the same balance
  EXPECT_EQ(accounts_.standing("key_a", kNow)->granted, 0);
  EXPECT_EQ(accounts_.standing("key_a", kNow)->topped_up, 0);
  EXPECT_EQ(ask().verdict, Verdict::kBalance);
}

TEST_F(AccountsTest, ABurstClaimsItsMoneyBeforeItIsSpent) {
  key_.settings.postpaid = false;
  key_.topped_up = 250;
  load();
  for (int i = 0; i < 3; ++i) EXPECT_EQ(ask(10, kNow, 100).verdict, Verdict::kAdmitted) << i;
  const Decision fourth = ask(10, kNow, 100);  // the third may overdraw by 50, no other by anything
  EXPECT_EQ(fourth.verdict, Verdict::kBalance);
  EXPECT_TRUE(fourth.reserved);
  EXPECT_EQ(fourth.retry_seconds, 1);
  EXPECT_EQ(accounts_.standing("key_a", kNow)->topped_up, 250);  // claimed is not spent
  load();                                                        // news do not forget claims
  EXPECT_TRUE(ask(10, kNow, 100).reserved);
  end(10, 100);
  EXPECT_EQ(ask(10, kNow, 100).verdict, Verdict::kAdmitted);
  key_.settings.limits.monthly_spend = 300;
  key_.topped_up = 100'000;
  load();
  const Decision spent = ask(10, kNow, 1);
  EXPECT_EQ(spent.verdict, Verdict::kMonthlySpend);
  EXPECT_TRUE(spent.reserved);
  end(10, 100);
  EXPECT_EQ(ask(10, kNow, 1).verdict, Verdict::kAdmitted);
}

TEST_F(AccountsTest, ABurstClaimsItsTokensBeforeTheyAreSent) {
  key_.settings.limits.tokens_per_minute = 1000;
  load();
  EXPECT_EQ(ask(100, kNow, 1, /*most=*/500).verdict, Verdict::kAdmitted);
  EXPECT_EQ(ask(400, kNow, 1, 500).verdict, Verdict::kAdmitted);  // its prompt fits; its answer may pass
  const Decision third = ask(1, kNow, 1, 1);
  EXPECT_EQ(third.verdict, Verdict::kTokensPerMinute);
  EXPECT_TRUE(third.reserved);
  // The first one's answer was 10 tokens, the second's none.
  accounts_.change("key_a", {110, 1, 0}, {110 - 600, 0, -500}, 10, kNow);
  end(400, 1, 500);
  EXPECT_EQ(ask(490, kNow).verdict, Verdict::kAdmitted);  // 100 + 400 + 10 are used
  EXPECT_FALSE(ask(1, kNow).reserved);                    // and now all of it is
  EXPECT_EQ(ask(1, kNow).retry_seconds, 60);

  key_.settings.limits = {};
  key_.settings.limits.daily_tokens = 2000;
  load();  // 110 were sent, 490 are claimed
  EXPECT_EQ(ask(100, kNow, 1, 1400).verdict, Verdict::kAdmitted);
  EXPECT_TRUE(ask(1, kNow).reserved);
  end(100, 1, 1400);
  EXPECT_EQ(ask(1, kNow).verdict, Verdict::kAdmitted);
}

TEST_F(AccountsTest, BoundsConcurrency) {
  key_.settings.limits.concurrency = 2;
  load();
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  EXPECT_EQ(accounts_.enter("key_a", Purpose::kTokenize, false, kNow).verdict, Verdict::kAdmitted);
  const Decision third = ask();
  EXPECT_EQ(third.verdict, Verdict::kConcurrency);
  EXPECT_EQ(third.limit, 2);
  EXPECT_EQ(accounts_.enter("key_a", Purpose::kTokenize, false, kNow).verdict, Verdict::kConcurrency);
  load();  // news from the database do not forget what runs
  EXPECT_EQ(ask().verdict, Verdict::kConcurrency);
  accounts_.leave("key_a");
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
}

TEST_F(AccountsTest, BoundsTokensOfAMinute) {
  key_.settings.limits.tokens_per_minute = 100;
  load();
  EXPECT_EQ(ask(40, kNow).verdict, Verdict::kAdmitted);
  send(70, 0, /*fresh=*/30, kNow + 10'000);
  EXPECT_EQ(ask(30, kNow + 20'000).verdict, Verdict::kAdmitted);  // 100 of 100
  Decision full = ask(1, kNow + 30'000);
  EXPECT_EQ(full.verdict, Verdict::kTokensPerMinute);
  EXPECT_EQ(full.retry_seconds, 30);  // when the first 40 are a minute old
  EXPECT_EQ(ask(40, kNow + 60'000).verdict, Verdict::kAdmitted);
  EXPECT_EQ(ask(41, kNow + 60'000).verdict, Verdict::kTokensPerMinute);
  EXPECT_EQ(ask(101, kNow + 600'000).retry_seconds, 60);
  EXPECT_EQ(ask(100, kNow + 600'000).verdict, Verdict::kAdmitted);
}

// Each of them was rendered and counted: work that nothing else bounds.
TEST_F(AccountsTest, BoundsPromptsThatDoNotFit) {
  key_.settings.limits.tokens_per_minute = 1000;
  load();
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(ask(kMostRefusedTokens / 4, kNow + i * 1000).verdict, Verdict::kTokensPerMinute) << i;
  const Decision next = ask(10, kNow + 30'000);
  EXPECT_EQ(next.verdict, Verdict::kRefusedTokens);
  EXPECT_EQ(next.retry_seconds, 30);
  EXPECT_EQ(ask(10, kNow + 60'000).verdict, Verdict::kAdmitted);
}

TEST_F(AccountsTest, BoundsTokensThatAreOnlyCounted) {
  key_.settings.limits.tokens_per_minute = 100;
  load();
  const auto count = [&](int64_t tokens, int64_t now) {
    const Decision decision = accounts_.enter("key_a", Purpose::kTokenize, false, now);
    if (decision.verdict == Verdict::kAdmitted) {
      accounts_.count_tokenized("key_a", tokens, now);
      accounts_.leave("key_a");
    }
    return decision;
  };
  EXPECT_EQ(count(99, kNow).verdict, Verdict::kAdmitted);
  EXPECT_EQ(count(500, kNow + 1000).verdict, Verdict::kAdmitted);  // what passes the limit is answered
  EXPECT_EQ(count(1, kNow + 2000).verdict, Verdict::kTokensPerMinute);
  EXPECT_EQ(count(1, kNow + 2000).retry_seconds, 59);
  EXPECT_EQ(ask(100, kNow + 2000).verdict, Verdict::kAdmitted);  // asking has a minute of its own
  EXPECT_EQ(count(1, kNow + 61'000).verdict, Verdict::kAdmitted);
}

TEST_F(AccountsTest, BoundsADaysTokensAndAMonthsSpending) {
  key_.settings.limits.daily_tokens = 1000;
  load({{"key_a", kToday, 3, 900, 5}, {"key_a", kToday - 1, 3, 90'000, 5}});
  EXPECT_EQ(ask(100).verdict, Verdict::kAdmitted);
  end(100);
  const Decision over = ask(101);
  EXPECT_EQ(over.verdict, Verdict::kDailyTokens);
  EXPECT_EQ(over.retry_seconds, 12 * 3600);
  EXPECT_EQ(ask(1000, kNow + kDayMs).verdict, Verdict::kAdmitted);  // a new day
  end(1000);
  key_.settings.limits = {};
  key_.settings.limits.monthly_spend = 100;
  load({{"key_a", kToday, 1, 1, 60}, {"key_a", kToday - 10, 1, 1, 30}});
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  end();
  send(1, 10);
  const Decision spent = ask();
  EXPECT_EQ(spent.verdict, Verdict::kMonthlySpend);
  EXPECT_EQ(spent.retry_seconds, 8.5 * 24 * 3600);  // the 22nd at noon to 1 December
  EXPECT_EQ(ask(10, kNow, /*cost=*/0).verdict, Verdict::kAdmitted);
}

}  // namespace
}  // namespace hadal::ledger
