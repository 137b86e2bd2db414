// /admin/usage, /admin/requests and /admin/feedback: what the database has of the past.
#include <map>

#include "ledger/ledger_json.h"
#include "serve/api/admin.h"
#include "serve/api/api_error.h"

namespace hadal::serve::api {

using base::Json;
using ledger::Store;
using ledger::UsageBy;
using ledger::UsageFilter;
using ledger::UsageRow;
using ledger::UsageSplit;

namespace {

constexpr int64_t kMostSeconds = int64_t{1} << 40;

UsageFilter read_filter(const std::string& query, bool hourly) {
  const int64_t now = ledger::unix_ms() / 1000;
  const int64_t span = hourly ? 24 * 3600 : 7 * 24 * 3600;
  UsageFilter filter;
  filter.to = query_number(query, "to", now + 1, 0, kMostSeconds) * 1000;
  filter.from = query_number(query, "from", filter.to / 1000 - span, -kMostSeconds, kMostSeconds) * 1000;
  filter.key_id = query_value(query, "key");
  filter.model = query_value(query, "model");
  return filter;
}

Json text_or_null(const std::string& text) { return text.empty() ? Json(nullptr) : Json(text); }

}  // namespace

void admin_usage(const Call& call) {
  static const std::map<std::string, UsageBy> kBy = {
      {"hour", UsageBy::kHour}, {"day", UsageBy::kDay}, {"key", UsageBy::kKey}, {"model", UsageBy::kModel}};
  static const std::map<std::string, UsageSplit> kSplit = {
      {"", UsageSplit::kNone}, {"key", UsageSplit::kKey}, {"model", UsageSplit::kModel}};
  const std::string& query = call.request.query;
  std::string by = query_value(query, "by");
  if (by.empty()) by = "day";
  const std::string split = query_value(query, "split");
  if (!kBy.contains(by)) throw bad_value("by", "use hour, day, key or model");
  if (!kSplit.contains(split)) throw bad_value("split", "use key or model");
  const UsageFilter filter = read_filter(query, by == "hour");
  answer_from_store(call, 200, [&ledger = *call.service.ledger, filter, by, split](Store& store) {
    const bool timed = by == "hour" || by == "day";
    Json rows = Json::array();
    UsageRow total;
    for (const UsageRow& row : store.usage(filter, kBy.at(by), kSplit.at(split))) {
      Json json = ledger::sums_json(row);
      json["start"] = timed ? Json(row.start / 1000) : Json(nullptr);
      json["key"] = text_or_null(row.key_id);
      json["key_name"] = text_or_null(ledger.name_of(row.key_id));
      json["model"] = text_or_null(row.model);
      rows.push_back(std::move(json));
      total += row;
    }
    return Json{{"by", by},
                {"split", text_or_null(split)},
                {"from", filter.from / 1000},
                {"to", filter.to / 1000},
                {"currency", ledger.currency()},
                {"rows", std::move(rows)},
                {"total", ledger::sums_json(total)}};
  });
}

void admin_requests(const Call& call) {
  const std::string& query = call.request.query;
  const int64_t limit = query_number(query, "limit", 50, 1, 1000);
  UsageFilter filter = read_filter(query, false);
  filter.from = query_number(query, "from", 0, 0, kMostSeconds) * 1000;
  answer_from_store(call, 200, [&ledger = *call.service.ledger, filter, limit](Store& store) {
    Json requests = Json::array();
    for (const ledger::UsageRecord& record : store.records(filter, limit)) {
      Json json = ledger::record_json(record);
      json["at"] = record.ended / 1000;
      json["key_name"] = text_or_null(ledger.name_of(record.key_id));
      json["seconds"] = static_cast<double>(record.ended - record.started) / 1000;
      requests.push_back(std::move(json));
    }
    return Json{{"currency", ledger.currency()}, {"requests", std::move(requests)}};
  });
}

void admin_feedback(const Call& call) {
  const int64_t limit = query_number(call.request.query, "limit", 50, 1, 1000);
  answer_from_store(call, 200, [&ledger = *call.service.ledger, limit](Store& store) {
    Json list = Json::array();
    for (const ledger::Feedback& feedback : store.feedback(limit)) {
      const Json conversation = Json::parse(feedback.conversation, nullptr, false);
      list.push_back({{"at", feedback.at / 1000},
                      {"key", feedback.key_id},
                      {"key_name", text_or_null(ledger.name_of(feedback.key_id))},
                      {"request_id", feedback.request_id},
                      {"rating", feedback.rating},
                      {"comment", feedback.comment},
                      {"conversation", conversation.is_discarded() ? Json(nullptr) : conversation}});
    }
    return Json{{"feedback", std::move(list)}};
  });
}

}  // namespace hadal::serve::api
