// /admin/keys: keys listed, made, changed.
#include <fmt/format.h>

#include "base/error.h"
#include "ledger/ledger_json.h"
#include "ledger/secrets.h"
#include "serve/api/admin.h"
#include "serve/api/fields.h"

namespace hadal::serve::api {

using base::Json;
using ledger::Key;
using ledger::Ledger;
using ledger::Store;

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

void read_settings(const Json& body, ledger::KeySettings& settings) {
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

// What makes a credit that is asked for again the same one: the header Idempotency-Key, or a member.
std::string read_once(const http::Request& request, const Fields& fields) {
  const std::string* header = request.header("idempotency-key");
  const std::string once =
      header != nullptr ? *header : fields.string("idempotency_key").value_or(std::string());
  const bool given = header != nullptr || fields.find("idempotency_key") != nullptr;
  if (given && (once.empty() || once.size() > ledger::kMostOnceBytes)) {
    throw bad_value("idempotency_key", fmt::format("1 to {} bytes are wanted", ledger::kMostOnceBytes));
  }
  return once;
}

Key existing(Store& store, const std::string& id) {
  if (auto key = store.find_key(id)) return *std::move(key);
  throw ApiError(404, "key_not_found", fmt::format("there is no key \"{}\"", id.substr(0, 100)));
}

// The key as it stands now, in memory and in the database.
Json updated(Ledger& ledger, Store& store, const std::string& id) {
  ledger.refresh(store);
  return key_json(ledger, existing(store, id));
}

void create(const Call& call, const Json& body) {
  Key key;
  key.id = ledger::make_key_id();
  key.created = ledger::unix_ms();
  const Fields fields(body);
  fields.required("name");
  read_settings(body, key.settings);
  key.admin = fields.boolean("admin").value_or(false);
  const ledger::Nanos credit = fields.find("credit") != nullptr ? read_money(fields, "credit") : 0;
  answer_from_store(call, 201, [&ledger = *call.service.ledger, key, credit](Store& store) mutable {
    const std::string secret = ledger::renew_secret(key, 0);
    store.add_key(key, credit);
    return Json{{"key", updated(ledger, store, key.id)}, {"secret", secret}};
  });
}

void update(const Call& call, const std::string& id, const Json& body) {
  ledger::KeySettings probe;  // what is wrong is said before the database is asked
  probe.name = "probe";
  read_settings(body, probe);
  answer_from_store(call, 200, [&ledger = *call.service.ledger, id, body](Store& store) {
    Key key = existing(store, id);
    read_settings(body, key.settings);
    store.update_key(key);
    return Json{{"key", updated(ledger, store, id)}};
  });
}

void rotate(const Call& call, const std::string& id, const Json& body) {
  const int64_t grace = Fields(body).integer("grace_seconds", 0, kMostGraceSeconds).value_or(0);
  answer_from_store(call, 200, [&ledger = *call.service.ledger, id, grace](Store& store) {
    Key key = existing(store, id);
    if (key.revoked) throw ApiError(400, "invalid_request_error", "the key is revoked: make another");
    const std::string secret = ledger::renew_secret(key, grace * 1000);
    store.update_key(key);
    return Json{{"key", updated(ledger, store, id)}, {"secret", secret}};
  });
}

void revoke(const Call& call, const std::string& id) {
  answer_from_store(call, 200, [&ledger = *call.service.ledger, id](Store& store) {
    Key key = existing(store, id);
    key.revoked = true;
    store.update_key(key);
    return Json{{"key", updated(ledger, store, id)}};
  });
}

void credit(const Call& call, const std::string& id, const Json& body) {
  const Fields fields(body);
  const ledger::Nanos amount = read_money(fields, "amount");
  const bool granted = fields.boolean("granted").value_or(false);
  const std::string once = read_once(call.request, fields);
  answer_from_store(call, 200, [&ledger = *call.service.ledger, id, amount, granted, once](Store& store) {
    existing(store, id);
    const bool known = store.credit(id, amount, granted, once) == Store::Credit::kKnown;
    return Json{{"key", updated(ledger, store, id)}, {"repeated", known}};
  });
}

}  // namespace

Json key_json(const Ledger& ledger, const Key& key) {
  // What is in memory counts what is being sent; a key that is new to it has none of that.
  const ledger::Standing standing =
      ledger.standing(key.id).value_or(ledger::Standing{key.granted, key.topped_up, 0, {}, true});
  Key now = key;
  now.granted = standing.granted;
  now.topped_up = standing.topped_up;
  Json json = ledger::key_json(now, ledger.currency());
  json["today"] = {{"requests", standing.today.requests},
                   {"tokens", standing.today.tokens},
                   {"cost", ledger::money_text(standing.today.cost)}};
  json["running"] = standing.running;
  return json;
}

void admin_get_keys(const Call& call, const std::vector<std::string>& path) {
  Ledger& ledger = *call.service.ledger;
  if (path.size() == 1) {
    return answer_from_store(call, 200, [&ledger](Store& store) {
      Json keys = Json::array();
      for (const Key& key : store.keys()) keys.push_back(key_json(ledger, key));
      return Json{{"currency", ledger.currency()}, {"keys", std::move(keys)}};
    });
  }
  if (path.size() != 2) throw ApiError(404, "unknown_url", "no such endpoint below /admin/keys");
  answer_from_store(call, 200, [&ledger, id = path[1]](Store& store) {
    return Json{{"key", key_json(ledger, existing(store, id))}};
  });
}

void admin_post_keys(const Call& call, const std::vector<std::string>& path) {
  const Json body = call.request.body.empty() ? Json::object() : parse_body(call.request.body);
  if (path.size() == 1) return create(call, body);
  if (path.size() == 2) return update(call, path[1], body);
  if (path.size() == 3 && path[2] == "rotate") return rotate(call, path[1], body);
  if (path.size() == 3 && path[2] == "revoke") return revoke(call, path[1]);
  if (path.size() == 3 && path[2] == "credit") return credit(call, path[1], body);
  throw ApiError(404, "unknown_url", "no such endpoint below /admin/keys");
}

}  // namespace hadal::serve::api
