#include "ledger/ledger.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <mutex>
#include <thread>

#include "base/clock.h"
#include "base/error.h"
#include "base/files.h"
#include "ledger/postgres_server.h"
#include "ledger/secrets.h"

namespace hadal::ledger {
namespace {

constexpr const char* kPrices =
    "currency = \"USD\"\n[[model]]\nname = \"*\"\nhit = \"1\"\nmiss = \"10\"\noutput = \"100\"\n";

template <typename Condition>
bool eventually(const Condition& condition, double seconds = 10) {
  const double end = base::monotonic_seconds() + seconds;
  while (!condition()) {
    if (base::monotonic_seconds() > end) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

class LedgerTest : public testing::Test {
 protected:
  LedgerTest() : directory_(fmt::format("{}hadal-ledger-{}", testing::TempDir(), ::getpid())) {
    std::filesystem::remove_all(directory_);
    std::filesystem::create_directories(directory_);
    base::write_file_atomic(directory_ + "/prices.toml", kPrices);
    options_.database = directory_ + "/keys.db";
    options_.prices = directory_ + "/prices.toml";
    options_.poll_seconds = 0.02;
  }
  ~LedgerTest() override { std::filesystem::remove_all(directory_); }

  std::string add_key(const std::string& name, Nanos balance) {
    const auto store = Store::open(options_.database);
    Key key;
    key.id = "key_" + name;
    key.settings.name = name;
    const std::string secret = renew_secret(key, 0);
    store->add_key(key, balance);
    return secret;
  }

  static RequestFacts facts(const std::string& id, int64_t prompt = 100) {
    return {id, "asked", "served", "chat", prompt, 1000};
  }

  static Admission admit(Ledger& ledger, const Caller& caller, const RequestFacts& facts) {
    const std::vector<std::string> models = {facts.served_model};
    Entry entry = ledger.enter(caller, Purpose::kGenerate, models);
    if (!entry.place) return {entry.decision, nullptr};
    const Decision decision = ledger.allow(caller, facts.asked_model, facts.served_model);
    if (decision.verdict != Verdict::kAdmitted) return {decision, nullptr};
    return ledger.admit(caller, std::move(entry.place), facts);
  }

  std::vector<UsageRecord> records() {
    return Store::open(options_.database)->records({0, INT64_MAX, "", ""}, 100);
  }

  std::string directory_;
  LedgerOptions options_;
};

TEST_F(LedgerTest, ChargesWhatWasSent) {
  const std::string secret = add_key("a", kNanosPerUnit);
  const auto ledger = Ledger::open(options_);
  const Caller caller = *ledger->authenticate(secret);
  EXPECT_FALSE(ledger->authenticate(make_secret()).has_value());
  auto admission = admit(*ledger, caller, facts("r1"));
  ASSERT_EQ(admission.decision.verdict, Verdict::kAdmitted);
  EXPECT_EQ(ledger->standing(caller.key_id)->running, 1);
  admission.meter->sending(-1, 10, {100, 64, 1, 0});
  admission.meter->sent();
  // 64 hits, 36 misses, 1 token: 64 + 360 + 100 millionths.
  EXPECT_EQ(ledger->standing(caller.key_id)->topped_up, kNanosPerUnit - 524'000);
  admission.meter->finish("stop", {100, 64, 3, 0});
  EXPECT_EQ(ledger->standing(caller.key_id)->running, 0);  // a place is free before the last bytes leave
  admission.meter->sending(-1, 10, {100, 64, 3, 0});
  EXPECT_EQ(ledger->standing(caller.key_id)->topped_up, kNanosPerUnit - 724'000);
  admission.meter->sent();
  admission.meter.reset();
  ASSERT_TRUE(eventually([&] { return ledger->state().open_requests == 0; }));
  EXPECT_EQ(ledger->standing(caller.key_id)->topped_up, kNanosPerUnit - 724'000);
  EXPECT_EQ(ledger->standing(caller.key_id)->today.tokens, 103);
  const auto all = records();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].request_id, "r1");
  EXPECT_EQ(all[0].status, "stop");
  EXPECT_EQ(all[0].cost, 724'000);
  EXPECT_EQ(all[0].tokens.completion, 3);
  EXPECT_EQ(Store::open(options_.database)->find_key(caller.key_id)->balance(), kNanosPerUnit - 724'000);
}

TEST_F(LedgerTest, WhatTheServerWithdrawsIsNotCharged) {
  const std::string secret = add_key("a", kNanosPerUnit);
  const auto ledger = Ledger::open(options_);
  const Caller caller = *ledger->authenticate(secret);
  for (const bool before : {false, true}) {
    auto admission = admit(*ledger, caller, facts(before ? "before" : "after"));
    admission.meter->sending(-1, 10, {100, 0, 2, 0});
    admission.meter->sent();
    if (before) admission.meter->withdraw("failed");
    admission.meter->finish("stop", {100, 0, 5, 0});
    if (!before) admission.meter->withdraw("failed");
    EXPECT_EQ(ledger->standing(caller.key_id)->running, 0);
  }
  ASSERT_TRUE(eventually([&] { return ledger->state().open_requests == 0; }));
  EXPECT_EQ(ledger->standing(caller.key_id)->topped_up, kNanosPerUnit - 2 * 1'200'000);
  for (const UsageRecord& record : records()) {
    EXPECT_EQ(record.status, "failed");
    EXPECT_EQ(record.tokens.completion, 2);
  }
}

TEST_F(LedgerTest, WhatWasMadeIsChargedWhetherItIsTakenOrNot) {
  const std::string secret = add_key("a", kNanosPerUnit);
  {
    const auto ledger = Ledger::open(options_);
    const Caller caller = *ledger->authenticate(secret);
    auto cut = admit(*ledger, caller, facts("cut"));
    cut.meter->sending(-1, 10, {100, 0, 1, 0});
    cut.meter->sent();
    cut.meter->finish("stop", {100, 0, 5, 0});
    cut.meter->sending(-1, 10, {100, 0, 5, 0});  // the client has gone
    cut.meter.reset();
    auto whole = admit(*ledger, caller, facts("whole"));
    whole.meter->finish("stop", {100, 0, 5, 0});  // never begun to be sent
    whole.meter.reset();
    auto failed = admit(*ledger, caller, facts("failed"));
    failed.meter->sending(-1, 10, {100, 0, 2, 0});
    failed.meter->sent();
    failed.meter->finish("failed", {});  // the server's fault: what was sent
    failed.meter.reset();
    admit(*ledger, caller, facts("nothing"));  // dropped at once
    ASSERT_TRUE(eventually([&] { return ledger->state().open_requests == 0; }));
    EXPECT_EQ(ledger->standing(caller.key_id)->topped_up, kNanosPerUnit - 2 * 1'500'000 - 1'200'000);
    EXPECT_EQ(ledger->standing(caller.key_id)->today.tokens, 2 * 105 + 102);
  }
  for (const UsageRecord& record : records()) {
    EXPECT_EQ(record.status, record.request_id == "failed" ? "failed" : "cancelled");
    const int64_t tokens = record.request_id == "nothing" ? 0 : record.request_id == "failed" ? 2 : 5;
    EXPECT_EQ(record.tokens.completion, tokens) << record.request_id;
    EXPECT_EQ(record.tokens.prompt, tokens > 0 ? 100 : 0);
  }
  EXPECT_TRUE(Store::open(options_.database)->disagreements().empty());
}

// Threads that ask in the same moment: the balance pays for five requests, and the last may overdraw it.
TEST_F(LedgerTest, ABurstCannotSpendTheSameMoneyTwice) {
  constexpr Nanos kWorst = 1'000'000 + 100'000'000;  // 100 prompt tokens, 1000 of the answer
  const std::string secret = add_key("a", 5 * kWorst - kWorst / 2);
  const auto ledger = Ledger::open(options_);
  const Caller caller = *ledger->authenticate(secret);
  std::mutex mutex;
  std::vector<std::shared_ptr<Meter>> meters;
  int refused = 0;
  std::vector<std::thread> clients;
  for (int i = 0; i < 40; ++i) {
    clients.emplace_back([&, i] {
      auto admission = admit(*ledger, caller, facts(fmt::format("r{}", i)));
      const std::lock_guard lock(mutex);
      if (admission.meter) {
        meters.push_back(std::move(admission.meter));
      } else {
        EXPECT_EQ(admission.decision.verdict, Verdict::kBalance);
        EXPECT_TRUE(admission.decision.reserved);
        ++refused;
      }
    });
  }
  for (auto& client : clients) client.join();
  EXPECT_EQ(meters.size(), 5u);
  EXPECT_EQ(refused, 35);
  EXPECT_EQ(ledger->standing(caller.key_id)->running, 5);
  // They come to less: the rest is free at once, before anything is settled.
  for (const auto& meter : meters) {
    meter->sending(-1, 1, {100, 0, 10, 0});
    meter->sent();
    meter->finish("stop", {100, 0, 10, 0});
  }
  const auto next = admit(*ledger, caller, facts("next"));
  EXPECT_EQ(next.decision.verdict, Verdict::kAdmitted);
  next.meter->finish("stop", {100, 0, 1000, 0});  // the client left just before its end
  meters.clear();
}

TEST_F(LedgerTest, WhereEverythingCostsAnEmptyBalanceIsSeenAtTheDoor) {
  const std::string secret = add_key("poor", 0);
  const auto ledger = Ledger::open(options_);
  const Caller caller = *ledger->authenticate(secret);
  const std::vector<std::string> models = {"served"};
  EXPECT_EQ(ledger->enter(caller, Purpose::kTokenize, models).decision.verdict, Verdict::kBalance);
  base::write_file_atomic(options_.prices, std::string(kPrices) +
                                               "[[model]]\nname = \"free\"\nhit = \"0\"\nmiss = \"0\"\n"
                                               "output = \"0\"\n");
  ASSERT_TRUE(eventually([&] { return ledger->prices()->models.size() == 2; }));
  EXPECT_EQ(ledger->enter(caller, Purpose::kTokenize, models).decision.verdict, Verdict::kAdmitted);
  EXPECT_EQ(ledger->allow(caller, "free", "served").verdict, Verdict::kAdmitted);
  EXPECT_EQ(ledger->allow(caller, "asked", "served").verdict, Verdict::kBalance);
}

TEST_F(LedgerTest, SettlesWhatAKilledServerLeftOpenOnce) {
  const std::string secret = add_key("a", kNanosPerUnit);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto ledger = Ledger::open(options_);
    auto open = admit(*ledger, *ledger->authenticate(secret), facts("open"));
    open.meter->sending(-1, 10, {100, 0, 7, 2});
    open.meter->sent();
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  for (int start = 0; start < 2; ++start) {
    const auto ledger = Ledger::open(options_);
    EXPECT_EQ(ledger->standing("key_a")->topped_up, kNanosPerUnit - 1'700'000);
    const auto all = records();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].status, "crashed");
    EXPECT_EQ(all[0].tokens.completion, 7);
    EXPECT_EQ(all[0].tokens.reasoning, 2);
  }
  EXPECT_TRUE(Store::open(options_.database)->disagreements().empty());
}

// The client has left, its request is charged, and the server dies before that is in the database.
TEST_F(LedgerTest, AKillDoesNotForgetWhatAClientLeft) {
  const std::string secret = add_key("a", kNanosPerUnit);
  const pid_t child = ::fork();
  if (child == 0) {
    const auto ledger = Ledger::open(options_);
    std::promise<void> busy;
    ledger->post([&](Store&) {
      busy.set_value();
      ::pause();
    });
    busy.get_future().wait();
    auto left = admit(*ledger, *ledger->authenticate(secret), facts("left"));
    left.meter->sending(-1, 10, {100, 0, 7, 2});
    left.meter->sent();
    left.meter->finish("cancelled", {100, 0, 9, 2});
    left.meter.reset();
    ::kill(::getpid(), SIGKILL);
  }
  int status = 0;
  ::waitpid(child, &status, 0);
  for (int start = 0; start < 2; ++start) {
    const auto ledger = Ledger::open(options_);
    const auto all = records();
    ASSERT_EQ(all.size(), 1u);
    EXPECT_EQ(all[0].tokens.completion, 9);
    EXPECT_EQ(ledger->standing("key_a")->topped_up, kNanosPerUnit - 1'900'000);
  }
  EXPECT_TRUE(Store::open(options_.database)->disagreements().empty());
}

TEST_F(LedgerTest, SeesChangesOfKeysAndPrices) {
  const auto ledger = Ledger::open(options_);
  const std::string secret = add_key("late", 0);
  ASSERT_TRUE(eventually([&] { return ledger->authenticate(secret).has_value(); }));
  const Caller caller = *ledger->authenticate(secret);
  EXPECT_EQ(admit(*ledger, caller, facts("r")).decision.verdict, Verdict::kBalance);
  base::write_file_atomic(options_.prices, "nonsense = [");
  std::this_thread::sleep_for(std::chrono::milliseconds(100));
  EXPECT_EQ(ledger->prices()->models.at(0).price.miss, 10 * kNanosPerUnit);  // the old ones stay
  base::write_file_atomic(options_.prices, "currency = \"USD\"\n");
  ASSERT_TRUE(eventually([&] { return ledger->prices()->models.empty(); }));
  EXPECT_EQ(admit(*ledger, caller, facts("s")).decision.verdict, Verdict::kAdmitted);  // nothing costs
  {
    const auto store = Store::open(options_.database);
    Key key = *store->find_key(caller.key_id);
    key.revoked = true;
    store->update_key(key);
  }
  ASSERT_TRUE(eventually([&] { return !ledger->authenticate(secret).has_value(); }));
}

TEST_F(LedgerTest, QuestionsSeeWhatWasHandedOverBefore) {
  const std::string secret = add_key("a", kNanosPerUnit);
  const auto ledger = Ledger::open(options_);
  const Caller caller = *ledger->authenticate(secret);
  for (int i = 0; i < 50; ++i) {
    admit(*ledger, caller, facts(fmt::format("r{}", i)));
    std::promise<size_t> seen;
    ledger->post([&](Store& store) { seen.set_value(store.records({0, INT64_MAX, "", ""}, 100).size()); });
    EXPECT_EQ(seen.get_future().get(), static_cast<size_t>(i + 1));
  }
}

TEST_F(LedgerTest, OutlastsItsDatabase) {
  test::PostgresServer server;
  if (HasFailure()) return;
  options_.database = server.url();
  options_.journal_directory = directory_;
  const std::string secret = add_key("a", kNanosPerUnit);
  {
    const auto ledger = Ledger::open(options_);
    const Caller caller = *ledger->authenticate(secret);
    server.stop();
    for (int i = 0; i < 3; ++i) {  // requests go on
      auto admission = admit(*ledger, caller, facts(fmt::format("r{}", i)));
      ASSERT_EQ(admission.decision.verdict, Verdict::kAdmitted);
      admission.meter->sending(-1, 1, {100, 0, 1, 0});
      admission.meter->sent();
    }
    ASSERT_TRUE(eventually([&] { return !ledger->state().available; }));
    EXPECT_EQ(ledger->state().open_requests, 3u);
    EXPECT_EQ(ledger->standing(caller.key_id)->topped_up, kNanosPerUnit - 3 * 1'100'000);
    server.start();
    ASSERT_TRUE(eventually([&] { return ledger->state().open_requests == 0; }));
    ASSERT_TRUE(eventually([&] { return ledger->state().available; }));
    EXPECT_EQ(ledger->standing(caller.key_id)->topped_up, kNanosPerUnit - 3 * 1'100'000);
  }
  const auto store = Store::open(options_.database);
  EXPECT_EQ(store->records({0, INT64_MAX, "", ""}, 10).size(), 3u);
  EXPECT_TRUE(store->disagreements().empty());
}

}  // namespace
}  // namespace hadal::ledger
