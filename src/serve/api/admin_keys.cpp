// /admin/keys: keys listed, made, changed.
#include <fmt/format.h>

#include "base/error.h"
#include "ledger/ledger_json.h"
#include "ledger/secrets.h"
#include "serve/api/admin.h"
#include "serve/api/fields.h"
#include "serve/api/key_request.h"

namespace hadal::serve::api {

using base::Json;
using ledger::Key;
using ledger::Ledger;
using ledger::Store;

namespace {

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
  const NewKeyRequest asked = read_new_key(body);
  key.settings = asked.settings;
  key.admin = asked.admin;
  const ledger::Nanos credit = asked.credit;
  answer_from_store(call, 201, [&ledger = *call.service.ledger, key, credit](Store& store) mutable {
    const std::string secret = ledger::renew_secret(key, 0);
    store.add_key(key, credit);
    return Json{{"key", updated(ledger, store, key.id)}, {"secret", secret}};
  });
}

void update(const Call& call, const std::string& id, const Json& body) {
  ledger::KeySettings probe;  // what is wrong is said before the database is asked
  probe.name = "probe";
  read_key_settings(body, probe);
  answer_from_store(call, 200, [&ledger = *call.service.ledger, id, body](Store& store) {
    Key key = existing(store, id);
    read_key_settings(body, key.settings);
    store.update_key(key);
    return Json{{"key", updated(ledger, store, id)}};
  });
}

void rotate(const Call& call, const std::string& id, const Json& body) {
  const int64_t grace = read_grace_seconds(body);
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
  const CreditRequest asked = read_credit(body, call.request.header("idempotency-key"));
  answer_from_store(call, 200, [&ledger = *call.service.ledger, id, asked](Store& store) {
    existing(store, id);
    const bool known = store.credit(id, asked.amount, asked.granted, asked.once) == Store::Credit::kKnown;
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
