#include "ledger/store.h"

#include "base/error.h"

namespace hadal::ledger {

namespace {

constexpr int64_t kSchemaVersion = 1;
constexpr const char* kLockSchema = "SELECT pg_advisory_xact_lock(4848197115610)";  // any number of our own

// Text that both backends take: SQLite reads BIGINT as its 64-bit integer.
constexpr const char* kTables[] = {
    "CREATE TABLE IF NOT EXISTS meta (name TEXT PRIMARY KEY, value TEXT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS api_keys ("
    " id TEXT PRIMARY KEY, name TEXT NOT NULL, prefix TEXT NOT NULL UNIQUE, hash TEXT NOT NULL,"
    " previous_prefix TEXT NOT NULL, previous_hash TEXT NOT NULL, previous_until BIGINT NOT NULL,"
    " admin BIGINT NOT NULL, revoked BIGINT NOT NULL, consent BIGINT NOT NULL, postpaid BIGINT NOT NULL,"
    " priority BIGINT NOT NULL, concurrency BIGINT, tokens_per_minute BIGINT, daily_tokens BIGINT,"
    " monthly_spend BIGINT, models TEXT NOT NULL, created BIGINT NOT NULL, last_used BIGINT NOT NULL DEFAULT "
    "0,"
    " granted BIGINT NOT NULL DEFAULT 0, topped_up BIGINT NOT NULL DEFAULT 0)",
    "CREATE TABLE IF NOT EXISTS credits (id TEXT PRIMARY KEY, key_id TEXT NOT NULL REFERENCES api_keys(id),"
    " at BIGINT NOT NULL, amount BIGINT NOT NULL, is_granted BIGINT NOT NULL)",
    "CREATE TABLE IF NOT EXISTS usage_records ("
    " request_id TEXT PRIMARY KEY, key_id TEXT NOT NULL, model TEXT NOT NULL,"
    " endpoint TEXT NOT NULL, status TEXT NOT NULL, started BIGINT NOT NULL, ended BIGINT NOT NULL,"
    " prompt_tokens BIGINT NOT NULL, cached_tokens BIGINT NOT NULL, completion_tokens BIGINT NOT NULL,"
    " reasoning_tokens BIGINT NOT NULL, cost BIGINT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS usage_by_time ON usage_records (ended)",
    "CREATE INDEX IF NOT EXISTS usage_by_key ON usage_records (key_id, ended)",
    "CREATE TABLE IF NOT EXISTS day_totals (key_id TEXT NOT NULL, day BIGINT NOT NULL, requests BIGINT NOT "
    "NULL,"
    " tokens BIGINT NOT NULL, cost BIGINT NOT NULL, PRIMARY KEY (key_id, day))",
    "CREATE TABLE IF NOT EXISTS feedback (id TEXT PRIMARY KEY, at BIGINT NOT NULL,"
    " key_id TEXT NOT NULL REFERENCES api_keys(id), request_id TEXT NOT NULL, rating TEXT NOT NULL,"
    " comment TEXT NOT NULL, conversation TEXT NOT NULL)",
    "CREATE INDEX IF NOT EXISTS feedback_by_time ON feedback (at)",
    "CREATE INDEX IF NOT EXISTS feedback_by_request ON feedback (key_id, request_id)",
    // How much of it a key has. Once from what an older Hadal has stored.
    "CREATE TABLE IF NOT EXISTS feedback_totals (key_id TEXT PRIMARY KEY REFERENCES api_keys(id),"
    " entries BIGINT NOT NULL, bytes BIGINT NOT NULL)",
    "INSERT INTO feedback_totals SELECT key_id, CAST(COUNT(*) AS BIGINT),"
    " CAST(SUM(LENGTH(comment) + LENGTH(conversation)) AS BIGINT) FROM feedback"
    " WHERE NOT EXISTS (SELECT 1 FROM feedback_totals) GROUP BY key_id",
    "INSERT INTO meta VALUES ('schema_version', '1') ON CONFLICT (name) DO NOTHING",
    "INSERT INTO meta VALUES ('generation', '1') ON CONFLICT (name) DO NOTHING",
};

}  // namespace

int64_t number_at(const Row& row, size_t column) {
  const auto* number = std::get_if<int64_t>(&row[column]);
  return number != nullptr ? *number : 0;
}

std::string text_at(const Row& row, size_t column) {
  const auto* text = std::get_if<std::string>(&row[column]);
  return text != nullptr ? *text : std::string();
}

std::unique_ptr<Store> Store::open(const std::string& database) {
  auto opened = is_postgres_url(database) ? open_postgres(database) : open_sqlite(database);
  std::unique_ptr<Store> store(new Store(std::move(opened)));
  store->make_tables();
  return store;
}

void Store::make_tables() {
  Transaction transaction(*database_);
  // Two that begin at once must not make the same table (in SQLite BEGIN IMMEDIATE sees to that).
  if (std::string_view(backend()) == "postgresql") database_->run(kLockSchema);
  for (const char* statement : kTables) database_->run(statement);
  const Result version =
      database_->run("SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'schema_version'");
  const int64_t have = number_at(version.rows.at(0), 0);
  if (have != kSchemaVersion) {
    throw_error(ErrorCode::kUnsupported,
                "[ledger] the database has version {} of the tables, this Hadal knows {}: use a newer one",
                have, kSchemaVersion);
  }
  transaction.commit();
}

std::string Store::currency() {
  const Result result = database_->run("SELECT value FROM meta WHERE name = 'currency'");
  return result.rows.empty() ? "" : text_at(result.rows[0], 0);
}

void Store::set_currency(const std::string& currency) {
  database_->run("INSERT INTO meta VALUES ('currency', $1) ON CONFLICT (name) DO NOTHING", {currency});
  if (const std::string have = this->currency(); have != currency) {
    throw_error(ErrorCode::kBadInput,
                "[ledger] prices are in {}, but the database's balances are in {}: use a price file in {}",
                currency, have, have);
  }
}

int64_t Store::generation() {
  const Result result = database_->run("SELECT CAST(value AS BIGINT) FROM meta WHERE name = 'generation'");
  return number_at(result.rows.at(0), 0);
}

void Store::next_generation() {
  database_->run("UPDATE meta SET value = CAST(CAST(value AS BIGINT) + 1 AS TEXT) WHERE name = 'generation'");
}

}  // namespace hadal::ledger
