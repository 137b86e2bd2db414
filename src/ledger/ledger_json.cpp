#include "ledger/ledger_json.h"

#include <optional>

#include "ledger/money.h"

namespace hadal::ledger {

using base::Json;

namespace {

Json limit_json(const std::optional<int64_t>& limit) { return limit ? Json(*limit) : Json(nullptr); }

void add_usage(const Tokens& tokens, Nanos cost, Json& json) {
  json["prompt_tokens"] = tokens.prompt;
  json["cache_hit_tokens"] = tokens.cached;
  json["cache_miss_tokens"] = tokens.prompt - tokens.cached;
  json["completion_tokens"] = tokens.completion;
  json["reasoning_tokens"] = tokens.reasoning;
  json["cost"] = money_text(cost);
}

}  // namespace

Json key_json(const Key& key, const std::string& currency) {
  const auto& s = key.settings;
  return {{"id", key.id},
          {"name", s.name},
          {"prefix", key.prefix},
          {"admin", key.admin},
          {"revoked", key.revoked},
          {"created_at", key.created / 1000},
          {"last_used_at", key.last_used == 0 ? Json(nullptr) : Json(key.last_used / 1000)},
          {"limits",
           {{"concurrency", limit_json(s.limits.concurrency)},
            {"tokens_per_minute", limit_json(s.limits.tokens_per_minute)},
            {"daily_tokens", limit_json(s.limits.daily_tokens)},
            {"monthly_spend",
             s.limits.monthly_spend ? Json(money_text(*s.limits.monthly_spend)) : Json(nullptr)}}},
          {"priority", s.priority},
          {"models", s.models},
          {"consent", s.consent},
          {"postpaid", s.postpaid},
          {"balance",
           {{"currency", currency},
            {"total", money_text(key.balance())},
            {"granted", money_text(key.granted)},
            {"topped_up", money_text(key.topped_up)}}}};
}

Json record_json(const UsageRecord& record) {
  Json json = {{"id", record.request_id},
               {"key", record.key_id},
               {"model", record.model},
               {"endpoint", record.endpoint},
               {"status", record.status}};
  add_usage(record.tokens, record.cost, json);
  return json;
}

Json sums_json(const UsageRow& row) {
  Json json = {{"requests", row.requests}, {"failed", row.failed}};
  add_usage(row.tokens, row.cost, json);
  return json;
}

}  // namespace hadal::ledger
