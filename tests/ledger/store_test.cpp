// The store's contract, the same for both backends. One process starts one PostgreSQL: so each backend is one
// test of several parts.
#include "ledger/store.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <thread>

#include "base/error.h"
#include "base/files.h"
#include "ledger/postgres_server.h"
#include "ledger/secrets.h"

namespace hadal::ledger {
namespace {

Key make_key(const std::string& name) {
  Key key;
  key.id = make_key_id();
  key.settings.name = name;
  key.created = unix_ms();
  renew_secret(key, 0);
  return key;
}

UsageRecord record(const std::string& id, const std::string& key_id, int64_t ended, Nanos cost) {
  return {id, key_id, "model", "chat", "stop", ended - 100, ended, Tokens{100, 64, 10, 4}, cost};
}

void keeps_keys(Store& store) {
  Key key = make_key("first");
  key.settings.limits = {4, 60'000, std::nullopt, 25 * kNanosPerUnit};
  key.settings.models = {"hadal-nano", "a \"quoted\" name"};
  key.settings.priority = -3;
  key.settings.consent = true;
  key.admin = true;
  const int64_t before = store.generation();
  store.add_key(key);
  EXPECT_NE(store.generation(), before);
  const Key found = *store.find_key(key.id);
  EXPECT_EQ(found.settings.name, "first");
  EXPECT_EQ(found.prefix, key.prefix);
  EXPECT_EQ(found.hash, key.hash);
  EXPECT_EQ(found.settings.limits.concurrency, 4);
  EXPECT_EQ(found.settings.limits.tokens_per_minute, 60'000);
  EXPECT_FALSE(found.settings.limits.daily_tokens.has_value());
  EXPECT_EQ(found.settings.limits.monthly_spend, 25 * kNanosPerUnit);
  EXPECT_EQ(found.settings.models, key.settings.models);
  EXPECT_EQ(found.settings.priority, -3);
  EXPECT_TRUE(found.settings.consent && found.admin && !found.revoked && !found.settings.postpaid);
  EXPECT_EQ(found.created, key.created);
  EXPECT_EQ(found.last_used, 0);
  EXPECT_FALSE(store.find_key("key_none").has_value());
  EXPECT_THROW(store.add_key(key), Error);  // the same id

  const std::string old_prefix = key.prefix;
  const std::string secret = renew_secret(key, 3'600'000);
  key.settings.limits = {};
  key.settings.name = "renamed; DROP TABLE api_keys; --'";
  EXPECT_TRUE(store.update_key(key));
  const Key after = store.require_key(key.settings.name);
  EXPECT_EQ(after.id, key.id);
  EXPECT_EQ(after.prefix, prefix_of(secret));
  EXPECT_EQ(after.previous_prefix, old_prefix);
  EXPECT_GT(after.previous_until, unix_ms() + 3'500'000);
  EXPECT_FALSE(after.settings.limits.concurrency.has_value());
  EXPECT_FALSE(store.update_key(make_key("nobody")));
  EXPECT_THROW(store.require_key("nobody"), Error);
  store.add_key(make_key("twin"));
  store.add_key(make_key("twin"));
  EXPECT_THROW(store.require_key("twin"), Error);
  Key bad = make_key("");
  EXPECT_THROW(store.add_key(bad), Error);
  bad.settings.name = "x";
  bad.settings.limits.concurrency = 0;
  EXPECT_THROW(store.add_key(bad), Error);
}

void counts_money_once(Store& store) {
  const Key key = make_key("payer");
  store.add_key(key);
  using Credit = Store::Credit;
  EXPECT_EQ(store.credit("key_none", 1, false), Credit::kNoKey);
  EXPECT_EQ(store.credit(key.id, 1'000, true), Credit::kAdded);
  EXPECT_EQ(store.credit(key.id, 5'000, false), Credit::kAdded);
  const int64_t now = unix_ms();
  const std::vector<UsageRecord> records = {record("r1", key.id, now, 400),
                                            record("r2", key.id, now + 1, 900)};
  EXPECT_EQ(store.settle(records), 2u);
  Key after = *store.find_key(key.id);
  EXPECT_EQ(after.granted, 0);  // granted went first
  EXPECT_EQ(after.topped_up, 4'700);
  EXPECT_EQ(after.last_used, now + 1);
  EXPECT_EQ(store.settle(records), 0u);  // known: nothing happens
  EXPECT_EQ(store.settle(std::vector{record("r2", key.id, now, 1), record("r3", key.id, now, 5'000)}), 1u);
  after = *store.find_key(key.id);
  EXPECT_EQ(after.balance(), -300);
  EXPECT_EQ(store.credit(key.id, -700, false), Credit::kAdded);
  EXPECT_EQ(store.find_key(key.id)->balance(), -1'000);
  EXPECT_TRUE(store.disagreements().empty());
  const auto totals = store.day_totals(now / kDayMs);
  const auto mine = std::ranges::find(totals, key.id, &DayTotal::key_id);
  ASSERT_NE(mine, totals.end());
  EXPECT_EQ(mine->requests, 3);
  EXPECT_EQ(mine->tokens, 330);
  EXPECT_EQ(mine->cost, 6'300);
  EXPECT_THROW(store.credit(key.id, INT64_MAX / 2, false), Error);
  EXPECT_EQ(store.find_key(key.id)->balance(), -1'000);
}

void credits_once(const std::string& database) {
  using Credit = Store::Credit;
  const auto store = Store::open(database);
  Key rich = make_key("rich");
  store->add_key(rich, 700);  // with its balance
  EXPECT_EQ(store->find_key(rich.id)->topped_up, 700);
  Key broken = make_key("broken");
  EXPECT_THROW(store->add_key(broken, kMostMoney + 1), Error);
  EXPECT_FALSE(store->find_key(broken.id).has_value());  // not without its balance either
  const Key other = make_key("other");
  store->add_key(other);
  EXPECT_EQ(store->credit(rich.id, 50, false, "invoice 1"), Credit::kAdded);
  EXPECT_EQ(store->credit(rich.id, 50, false, "invoice 1"), Credit::kKnown);
  EXPECT_THROW(store->credit(rich.id, 51, false, "invoice 1"), Error);
  EXPECT_THROW(store->credit(rich.id, 50, true, "invoice 1"), Error);
  EXPECT_THROW(store->credit(rich.id, 50, true, std::string(kMostOnceBytes + 1, 'x')), Error);
  EXPECT_EQ(store->credit(rich.id, 50, false, "invoice 2"), Credit::kAdded);
  EXPECT_EQ(store->credit(other.id, 50, false, "invoice 1"), Credit::kAdded);  // each key has its own
  EXPECT_EQ(store->find_key(rich.id)->topped_up, 800);
  // Retries that meet.
  std::atomic<int> added = 0;
  std::vector<std::thread> writers;
  for (int i = 0; i < 4; ++i) {
    writers.emplace_back([&] {
      const auto mine = Store::open(database);
      for (int n = 0; n < 5; ++n) {
        added += mine->credit(rich.id, 10, false, fmt::format("race {}", n)) == Credit::kAdded ? 1 : 0;
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(added, 5);
  EXPECT_EQ(store->find_key(rich.id)->topped_up, 850);
  EXPECT_TRUE(store->disagreements().empty());
}

void sums_usage(Store& store) {
  const Key a = make_key("a"), b = make_key("b");
  store.add_key(a);
  store.add_key(b);
  const int64_t day = 20'000 * kDayMs;  // long ago: no other part's records are there
  std::vector<UsageRecord> records = {record("u1", a.id, day + 10, 1), record("u2", a.id, day + kHourMs, 2),
                                      record("u3", b.id, day + kHourMs + 5, 4),
                                      record("u4", b.id, day + kDayMs, 8)};
  records[2].model = "other";
  records[3].status = "failed";
  store.settle(records);
  const UsageFilter all{day, day + 2 * kDayMs, "", ""};
  const auto hours = store.usage(all, UsageBy::kHour);
  ASSERT_EQ(hours.size(), 3u);
  EXPECT_EQ(hours[0].start, day);
  EXPECT_EQ(hours[1].start, day + kHourMs);
  EXPECT_EQ(hours[1].requests, 2);
  EXPECT_EQ(hours[1].cost, 6);
  EXPECT_EQ(hours[1].tokens.prompt, 200);
  EXPECT_EQ(hours[1].tokens.cached, 128);
  EXPECT_EQ(hours[1].tokens.completion, 20);
  EXPECT_EQ(hours[1].tokens.reasoning, 8);
  EXPECT_EQ(hours[2].failed, 1);
  EXPECT_EQ(store.usage(all, UsageBy::kDay).size(), 2u);
  EXPECT_EQ(store.usage(all, UsageBy::kDay, UsageSplit::kModel).size(), 3u);
  const auto keys = store.usage(all, UsageBy::kKey);
  ASSERT_EQ(keys.size(), 2u);
  EXPECT_EQ((keys[0].key_id == a.id ? keys[0] : keys[1]).cost, 3);
  const auto models = store.usage(all, UsageBy::kModel, UsageSplit::kKey);
  EXPECT_EQ(models.size(), 3u);
  EXPECT_EQ(store.usage({day, day + kHourMs, "", ""}, UsageBy::kKey).size(), 1u);  // `to` is not in it
  EXPECT_EQ(store.usage({day, day + kDayMs, b.id, "other"}, UsageBy::kModel).at(0).cost, 4);
  const auto latest = store.records(all, 2);
  ASSERT_EQ(latest.size(), 2u);
  EXPECT_EQ(latest[0].request_id, "u4");
  EXPECT_EQ(latest[0].status, "failed");
  EXPECT_EQ(latest[1].request_id, "u3");
  EXPECT_EQ(latest[1].tokens.completion, 10);
}

void keeps_feedback(Store& store) {
  Key key = make_key("consenting");
  store.add_key(key);
  const int64_t had = store.feedback_count();
  const Feedback first{5, key.id, "r", "up", "good \xE2\x9C\x93", "[{\"role\":\"user\"}]"};
  EXPECT_EQ(store.add_feedback(first), FeedbackFate::kNoConsent);
  EXPECT_EQ(store.feedback_total(key.id).entries, 0);
  const int64_t generation = store.generation();
  EXPECT_EQ(store.set_consent(key.id, true, false), 0);
  EXPECT_NE(store.generation(), generation);  // servers beside learn of it
  EXPECT_TRUE(store.find_key(key.id)->settings.consent);
  EXPECT_EQ(store.add_feedback(first), FeedbackFate::kStored);
  EXPECT_EQ(store.add_feedback({6, key.id, "s", "down", "", ""}), FeedbackFate::kStored);
  EXPECT_EQ(store.feedback_count(), had + 2);
  EXPECT_EQ(store.feedback_total(key.id).bytes, 8 + 17);
  const auto latest = store.feedback(1);
  ASSERT_EQ(latest.size(), 1u);
  EXPECT_EQ(latest[0].request_id, "s");
  EXPECT_EQ(store.feedback(2)[1].comment, "good \xE2\x9C\x93");
  // A second word on the same request takes the first one's place.
  EXPECT_EQ(store.add_feedback({7, key.id, "r", "down", "bad", ""}), FeedbackFate::kStored);
  EXPECT_EQ(store.feedback_count(), had + 2);
  EXPECT_EQ(store.feedback_total(key.id).bytes, 3);
  EXPECT_EQ(store.feedback(1)[0].rating, "down");

  const std::string large(kMostFeedbackBytes - 3, 'x');
  EXPECT_EQ(store.add_feedback({8, key.id, "t", "up", "", large}), FeedbackFate::kStored);
  EXPECT_EQ(store.add_feedback({9, key.id, "u", "up", "x", ""}), FeedbackFate::kFull);
  EXPECT_EQ(store.add_feedback({9, key.id, "t", "up", "x", ""}), FeedbackFate::kStored);
  EXPECT_EQ(store.feedback_total(key.id).bytes, 4);

  // Withdrawn: nothing more is stored; what was stored stays until it is asked to go, and nobody else's goes.
  Key other = make_key("other");
  other.settings.consent = true;
  store.add_key(other);
  EXPECT_EQ(store.add_feedback({10, other.id, "r", "up", "mine", ""}), FeedbackFate::kStored);
  EXPECT_EQ(store.set_consent(key.id, false, false), 0);
  EXPECT_EQ(store.add_feedback(first), FeedbackFate::kNoConsent);
  EXPECT_EQ(store.feedback_total(key.id).entries, 3);
  EXPECT_EQ(store.set_consent(key.id, false, true), 3);
  EXPECT_EQ(store.feedback_total(key.id).entries, 0);
  EXPECT_EQ(store.feedback_total(other.id).entries, 1);
  EXPECT_FALSE(store.set_consent("key_none", true, false).has_value());

  store.settle(std::vector{record("asked", key.id, 1000, 0)});
  EXPECT_TRUE(store.has_request(key.id, "asked", 1000));
  EXPECT_FALSE(store.has_request(key.id, "asked", 1001));
  EXPECT_FALSE(store.has_request(other.id, "asked", 0));
}

void has_one_currency(Store& store) {
  EXPECT_EQ(store.currency(), "");
  store.set_currency("EUR");
  store.set_currency("EUR");
  EXPECT_THROW(store.set_currency("USD"), Error);
  EXPECT_EQ(store.currency(), "EUR");
}

// Four processes' worth of writers on the same records: each counts once.
void agrees_under_contention(const std::string& database) {
  const auto store = Store::open(database);
  std::vector<Key> keys = {make_key("c1"), make_key("c2"), make_key("c3")};
  for (const Key& key : keys) {
    store->add_key(key);
    store->credit(key.id, 1'000'000, true);
  }
  constexpr int kWriters = 4, kBatches = 25;
  std::atomic<size_t> fresh = 0;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < kWriters; ++writer) {
    writers.emplace_back([&, writer] {
      const auto mine = Store::open(database);
      for (int batch = 0; batch < kBatches; ++batch) {
        std::vector<UsageRecord> records;
        for (size_t k = 0; k < keys.size(); ++k) {
          // Of two writers, the same ids.
          const std::string id = fmt::format("c-{}-{}-{}", writer / 2, batch, k);
          records.push_back(record(id, keys[k].id, unix_ms(), 7));
        }
        fresh += mine->settle(records);
      }
    });
  }
  for (auto& writer : writers) writer.join();
  EXPECT_EQ(fresh, static_cast<size_t>(kWriters / 2 * kBatches) * keys.size());
  for (const Key& key : keys) {
    EXPECT_EQ(store->find_key(key.id)->balance(), 1'000'000 - 7 * kWriters / 2 * kBatches);
  }
  EXPECT_TRUE(store->disagreements().empty());
}

void keeps_its_contract(const std::string& database) {
  {
    const auto store = Store::open(database);
    has_one_currency(*store);
    keeps_keys(*store);
    counts_money_once(*store);
    sums_usage(*store);
    keeps_feedback(*store);
  }
  credits_once(database);
  agrees_under_contention(database);
  const auto again = Store::open(database);  // it lasts
  EXPECT_EQ(again->currency(), "EUR");
  EXPECT_GE(again->keys().size(), 8u);
  EXPECT_TRUE(again->disagreements().empty());
}

TEST(StoreContract, Sqlite) {
  const std::string path = fmt::format("{}hadal-store-{}.db", testing::TempDir(), ::getpid());
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
  keeps_its_contract(path);
  EXPECT_STREQ(Store::open(path)->backend(), "sqlite");
  for (const char* end : {"", "-wal", "-shm"}) std::filesystem::remove(path + end);
}

TEST(StoreContract, Postgres) {
  test::PostgresServer server;
  if (HasFailure()) return;
  keeps_its_contract(server.url());
  EXPECT_STREQ(Store::open(server.url())->backend(), "postgresql");
  // A server that was away is found again; while it is away, errors say so.
  const auto store = Store::open(server.url());
  const size_t keys = store->keys().size();
  server.stop();
  EXPECT_THROW(store->keys(), Error);
  EXPECT_THROW(store->settle(std::vector{record("away", "key", 1, 1)}), Error);
  server.start();
  EXPECT_EQ(store->keys().size(), keys);
  EXPECT_TRUE(store->disagreements().empty());
}

TEST(Store, RefusesWhatItCannotOpen) {
  EXPECT_THROW(Store::open("/nowhere/at/all/keys.db"), Error);
  EXPECT_THROW(Store::open("postgresql://hadal@/x?host=/nowhere"), Error);
  const std::string path = fmt::format("{}hadal-not-a-db-{}", testing::TempDir(), ::getpid());
  base::write_file_atomic(path, std::string(5000, 'x'));
  EXPECT_THROW(Store::open(path), Error);
  std::filesystem::remove(path);
}

}  // namespace
}  // namespace hadal::ledger
