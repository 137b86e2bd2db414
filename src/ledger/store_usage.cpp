// Store: usage records and what is summed from them.
#include <algorithm>

#include "ledger/store.h"

namespace hadal::ledger {

namespace {

constexpr const char* kInsertRecord =
    "INSERT INTO usage_records (request_id, key_id, model, endpoint, status, started, ended, prompt_tokens,"
    " cached_tokens, completion_tokens, reasoning_tokens, cost)"
    " VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT (request_id) DO NOTHING";

// Granted money goes first, what is missing is topped up's, which may go below zero.
constexpr const char* kCharge =
    "UPDATE api_keys SET"
    " granted = granted - CASE WHEN granted <= 0 THEN 0 WHEN granted < $2 THEN granted ELSE $2 END,"
    " topped_up = topped_up - CASE WHEN granted <= 0 THEN $2 WHEN granted < $2 THEN $2 - granted ELSE 0 END,"
    " last_used = CASE WHEN last_used < $3 THEN $3 ELSE last_used END WHERE id = $1";

constexpr const char* kAddToDay =
    "INSERT INTO day_totals (key_id, day, requests, tokens, cost) VALUES ($1, $2, 1, $3, $4)"
    " ON CONFLICT (key_id, day) DO UPDATE SET requests = day_totals.requests + 1,"
    " tokens = day_totals.tokens + excluded.tokens, cost = day_totals.cost + excluded.cost";

// The sums of several rows, for GROUP BY.
constexpr const char* kSums =
    "CAST(COUNT(*) AS BIGINT),"
    " CAST(SUM(CASE WHEN status IN ('failed', 'crashed') THEN 1 ELSE 0 END) AS BIGINT),"
    " CAST(SUM(prompt_tokens) AS BIGINT), CAST(SUM(cached_tokens) AS BIGINT),"
    " CAST(SUM(completion_tokens) AS BIGINT), CAST(SUM(reasoning_tokens) AS BIGINT), CAST(SUM(cost) AS "
    "BIGINT)";

constexpr const char* kWhere =
    " FROM usage_records WHERE ended >= $1 AND ended < $2 AND ($3 = '' OR key_id = $3)"
    " AND ($4 = '' OR model = $4)";

std::vector<Value> filter_values(const UsageFilter& filter) {
  return {filter.from, filter.to, filter.key_id, filter.model};
}

}  // namespace

size_t Store::settle(std::span<const UsageRecord> records) {
  // In the keys' order: two servers that settle at once then wait for each other, never in a circle.
  std::vector<const UsageRecord*> ordered;
  for (const UsageRecord& record : records) ordered.push_back(&record);
  std::ranges::sort(ordered, {}, [](const UsageRecord* r) { return std::tie(r->key_id, r->request_id); });
  size_t fresh = 0;
  Transaction transaction(*database_);
  for (const UsageRecord* r : ordered) {
    const Tokens& t = r->tokens;
    const Result inserted =
        database_->run(kInsertRecord, {r->request_id, r->key_id, r->model, r->endpoint, r->status, r->started,
                                       r->ended, t.prompt, t.cached, t.completion, t.reasoning, r->cost});
    if (inserted.changed == 0) continue;  // known: it was counted then
    database_->run(kCharge, {r->key_id, r->cost, r->ended});
    database_->run(kAddToDay, {r->key_id, r->ended / kDayMs, t.prompt + t.completion, r->cost});
    ++fresh;
  }
  transaction.commit();
  return fresh;
}

std::vector<UsageRow> Store::usage(const UsageFilter& filter, UsageBy by, UsageSplit split) {
  const bool timed = by == UsageBy::kHour || by == UsageBy::kDay;
  const bool keyed = by == UsageBy::kKey || split == UsageSplit::kKey;
  const bool modelled = by == UsageBy::kModel || split == UsageSplit::kModel;
  const std::string step = std::to_string(by == UsageBy::kHour ? kHourMs : kDayMs);
  const std::string start = timed ? "ended / " + step + " * " + step : "0";
  std::string group;
  for (const auto& [wanted, column] : {std::pair{timed, start}, std::pair{keyed, std::string("key_id")},
                                       std::pair{modelled, std::string("model")}}) {
    if (wanted) group += (group.empty() ? "" : ", ") + column;
  }
  const std::string sql = "SELECT CAST(" + start + " AS BIGINT), " + (keyed ? "key_id" : "''") + ", " +
                          (modelled ? "model" : "''") + ", " + kSums + kWhere + " GROUP BY " + group +
                          " ORDER BY " + group;
  std::vector<UsageRow> rows;
  for (const Row& row : database_->run(sql, filter_values(filter)).rows) {
    rows.push_back({number_at(row, 0), text_at(row, 1), text_at(row, 2), number_at(row, 3), number_at(row, 4),
                    Tokens{number_at(row, 5), number_at(row, 6), number_at(row, 7), number_at(row, 8)},
                    number_at(row, 9)});
  }
  return rows;
}

std::vector<UsageRecord> Store::records(const UsageFilter& filter, int64_t limit) {
  std::vector<Value> values = filter_values(filter);
  values.emplace_back(limit);
  const Result result = database_->run(
      std::string("SELECT request_id, key_id, model, endpoint, status, started, ended, prompt_tokens,"
                  " cached_tokens, completion_tokens, reasoning_tokens, cost") +
          kWhere + " ORDER BY ended DESC, request_id LIMIT $5",
      values);
  std::vector<UsageRecord> records;
  for (const Row& row : result.rows) {
    records.push_back({text_at(row, 0), text_at(row, 1), text_at(row, 2), text_at(row, 3), text_at(row, 4),
                       number_at(row, 5), number_at(row, 6),
                       Tokens{number_at(row, 7), number_at(row, 8), number_at(row, 9), number_at(row, 10)},
                       number_at(row, 11)});
  }
  return records;
}

std::vector<DayTotal> Store::day_totals(int64_t from_day) {
  std::vector<DayTotal> totals;
  for (const Row& row :
       database_
           ->run("SELECT key_id, day, requests, tokens, cost FROM day_totals WHERE day >= $1", {from_day})
           .rows) {
    totals.push_back(
        {text_at(row, 0), number_at(row, 1), number_at(row, 2), number_at(row, 3), number_at(row, 4)});
  }
  return totals;
}

std::vector<std::string> Store::disagreements() {
  std::vector<std::string> keys;
  const Result result = database_->run(
      "SELECT id FROM api_keys WHERE granted + topped_up <>"
      " (SELECT CAST(COALESCE(SUM(amount), 0) AS BIGINT) FROM credits WHERE key_id = api_keys.id)"
      " - (SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM usage_records WHERE key_id = api_keys.id)"
      " OR (SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM day_totals WHERE key_id = api_keys.id)"
      " <> (SELECT CAST(COALESCE(SUM(cost), 0) AS BIGINT) FROM usage_records WHERE key_id = api_keys.id)"
      " ORDER BY id");
  for (const Row& row : result.rows) keys.push_back(text_at(row, 0));
  return keys;
}

}  // namespace hadal::ledger
