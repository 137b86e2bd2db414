#include "ledger/accounts.h"

#include <gtest/gtest.h>

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
  Decision ask(int64_t prompt = 10, int64_t now = kNow, bool costs = true) {
    return accounts_.admit("key_a", "asked", "served", prompt, costs, now);
  }
  UsageRecord settled_record(Nanos cost) {
    return {"r", "key_a", "served", "chat", "stop", kNow, kNow, Tokens{10, 0, 5, 0}, cost};
  }

  Accounts accounts_;
  Key key_;
  std::string secret_;
};

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
  EXPECT_EQ(ask(10, kNow, /*costs=*/false).verdict, Verdict::kAdmitted);
  key_.granted = 100;
  key_.topped_up = 50;
  load();
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  accounts_.add_unsettled("key_a", 10, 120, 0, kNow);
  EXPECT_EQ(accounts_.standing("key_a", kNow)->granted, 0);  // granted goes first
  EXPECT_EQ(accounts_.standing("key_a", kNow)->topped_up, 30);
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  accounts_.add_unsettled("key_a", 10, 30, 0, kNow);  // what runs has spent the rest
  EXPECT_EQ(ask().verdict, Verdict::kBalance);
  EXPECT_FALSE(accounts_.standing("key_a", kNow)->can_spend);
  accounts_.settled(settled_record(150), 20, 150);  // and is settled: the same balance
  EXPECT_EQ(accounts_.standing("key_a", kNow)->granted, 0);
  EXPECT_EQ(accounts_.standing("key_a", kNow)->topped_up, 0);
  EXPECT_EQ(ask().verdict, Verdict::kBalance);
}

TEST_F(AccountsTest, BoundsConcurrency) {
  key_.settings.limits.concurrency = 2;
  load();
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  const Decision third = ask();
  EXPECT_EQ(third.verdict, Verdict::kConcurrency);
  EXPECT_EQ(third.limit, 2);
  load();  // news from the database do not forget what runs
  EXPECT_EQ(ask().verdict, Verdict::kConcurrency);
  accounts_.leave("key_a");
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
}

TEST_F(AccountsTest, BoundsTokensOfAMinute) {
  key_.settings.limits.tokens_per_minute = 100;
  load();
  EXPECT_EQ(ask(40, kNow).verdict, Verdict::kAdmitted);
  accounts_.add_unsettled("key_a", 70, 0, /*fresh=*/30, kNow + 10'000);
  EXPECT_EQ(ask(30, kNow + 20'000).verdict, Verdict::kAdmitted);  // 100 of 100
  Decision full = ask(1, kNow + 30'000);
  EXPECT_EQ(full.verdict, Verdict::kTokensPerMinute);
  EXPECT_EQ(full.retry_seconds, 30);  // when the first 40 are a minute old
  EXPECT_EQ(ask(41, kNow + 30'000).retry_seconds, 40);
  EXPECT_EQ(ask(1000, kNow + 30'000).retry_seconds, 60);
  EXPECT_EQ(ask(40, kNow + 60'000).verdict, Verdict::kAdmitted);
  EXPECT_EQ(ask(100, kNow + 600'000).verdict, Verdict::kAdmitted);
}

TEST_F(AccountsTest, BoundsADaysTokensAndAMonthsSpending) {
  key_.settings.limits.daily_tokens = 1000;
  load({{"key_a", kToday, 3, 900, 5}, {"key_a", kToday - 1, 3, 90'000, 5}});
  EXPECT_EQ(ask(100).verdict, Verdict::kAdmitted);
  const Decision over = ask(101);
  EXPECT_EQ(over.verdict, Verdict::kDailyTokens);
  EXPECT_EQ(over.retry_seconds, 12 * 3600);
  EXPECT_EQ(ask(1000, kNow + kDayMs).verdict, Verdict::kAdmitted);  // a new day
  key_.settings.limits = {};
  key_.settings.limits.monthly_spend = 100;
  load({{"key_a", kToday, 1, 1, 60}, {"key_a", kToday - 10, 1, 1, 30}});
  EXPECT_EQ(ask().verdict, Verdict::kAdmitted);
  accounts_.add_unsettled("key_a", 1, 10, 0, kNow);
  const Decision spent = ask();
  EXPECT_EQ(spent.verdict, Verdict::kMonthlySpend);
  EXPECT_EQ(spent.retry_seconds, 8.5 * 24 * 3600);  // the 22nd at noon to 1 December
  EXPECT_EQ(ask(10, kNow, /*costs=*/false).verdict, Verdict::kAdmitted);
}

}  // namespace
}  // namespace hadal::ledger
