#include "serve/api/key_request.h"

#include <fmt/format.h>

#include "base/error.h"
#include "ledger/store.h"
#include "serve/api/fields.h"

namespace hadal::serve::api {

using base::Json;

namespace {

constexpr int64_t kMostGraceSeconds = 366 * 24 * 3600;

ledger::Nanos read_money(const Fields& fields, const char* name) {
  fields.required(name);
  try {
    return ledger::parse_money(*fields.string(name), name);
  } catch (const Error& e) {
    throw ApiError(400, "invalid_request_error", without_area(e.what()), name);
  }
}

// A member that is there takes the limit's place; null takes it away.
void read_limit(const Json& limits, const char* name, std::optional<int64_t>& limit) {
  const auto found = limits.find(name);
  if (found == limits.end()) return;
  limit = Fields(limits, "limits.").integer(name, 1);
}

// What makes a credit that is asked for again the same one: the header Idempotency-Key, or a member.
std::string read_once(const std::string* header, const Fields& fields) {
  const std::string once =
      header != nullptr ? *header : fields.string("idempotency_key").value_or(std::string());
  const bool given = header != nullptr || fields.find("idempotency_key") != nullptr;
  if (given && (once.empty() || once.size() > ledger::kMostOnceBytes)) {
    throw bad_value("idempotency_key", fmt::format("1 to {} bytes are wanted", ledger::kMostOnceBytes));
  }
  return once;
}

}  // namespace

void read_key_settings(const Json& body, ledger::KeySettings& settings) {
  const Fields fields(body);
  if (auto name = fields.string("name")) settings.name = std::move(*name);
  if (const Json* limits = fields.find("limits")) {
    const Fields inner(*limits, "limits.");  // throws unless it is an object
    read_limit(*limits, "concurrency", settings.limits.concurrency);
    read_limit(*limits, "tokens_per_minute", settings.limits.tokens_per_minute);
    read_limit(*limits, "daily_tokens", settings.limits.daily_tokens);
    if (limits->contains("monthly_spend")) {
      settings.limits.monthly_spend.reset();
      if (inner.find("monthly_spend") != nullptr)
        settings.limits.monthly_spend = read_money(inner, "monthly_spend");
    }
  }
  if (const auto priority = fields.integer("priority", -ledger::kMostPriority, ledger::kMostPriority)) {
    settings.priority = static_cast<int>(*priority);
  }
  if (const Json* models = fields.find("models")) {
    if (!models->is_array()) throw wrong_type("models", "array of names", *models);
    settings.models.clear();
    for (const Json& model : *models) {
      if (!model.is_string()) throw wrong_type("models", "array of names", model);
      settings.models.push_back(model.get<std::string>());
    }
  }
  if (const auto consent = fields.boolean("consent")) settings.consent = *consent;
  if (const auto postpaid = fields.boolean("postpaid")) settings.postpaid = *postpaid;
}

NewKeyRequest read_new_key(const Json& body) {
  const Fields fields(body);
  fields.required("name");
  NewKeyRequest request;
  read_key_settings(body, request.settings);
  request.admin = fields.boolean("admin").value_or(false);
  if (fields.find("credit") != nullptr) request.credit = read_money(fields, "credit");
  return request;
}

int64_t read_grace_seconds(const Json& body) {
  return Fields(body).integer("grace_seconds", 0, kMostGraceSeconds).value_or(0);
}

CreditRequest read_credit(const Json& body, const std::string* idempotency_key) {
  const Fields fields(body);
  CreditRequest request;
  request.amount = read_money(fields, "amount");
  request.granted = fields.boolean("granted").value_or(false);
  request.once = read_once(idempotency_key, fields);
  return request;
}

}  // namespace hadal::serve::api
