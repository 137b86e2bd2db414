// Store: keys and credits.
#include <algorithm>

#include "base/error.h"
#include "base/json.h"
#include "ledger/secrets.h"
#include "ledger/store.h"

namespace hadal::ledger {

namespace {

constexpr const char* kSelect =
    "SELECT id, name, prefix, hash, previous_prefix, previous_hash, previous_until, admin, revoked, consent,"
    " postpaid, priority, concurrency, tokens_per_minute, daily_tokens, monthly_spend, models, created,"
    " last_used, granted, topped_up FROM api_keys";

constexpr const char* kInsert =
    "INSERT INTO api_keys (id, name, prefix, hash, previous_prefix, previous_hash, previous_until, admin,"
    " revoked, consent, postpaid, priority, concurrency, tokens_per_minute, daily_tokens, monthly_spend, "
    "models,"
    " created) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)";

constexpr const char* kUpdate =
    "UPDATE api_keys SET name = $2, prefix = $3, hash = $4, previous_prefix = $5, previous_hash = $6,"
    " previous_until = $7, admin = $8,"
    " revoked = CASE WHEN revoked <> 0 THEN revoked ELSE $9 END, consent = $10, postpaid = $11, priority = "
    "$12,"
    " concurrency = $13, tokens_per_minute = $14, daily_tokens = $15, monthly_spend = $16, models = $17"
    " WHERE id = $1";

Value optional_value(const std::optional<int64_t>& number) { return number ? Value(*number) : Value(); }

std::optional<int64_t> optional_at(const Row& row, size_t column) {
  const auto* number = std::get_if<int64_t>(&row[column]);
  return number != nullptr ? std::optional(*number) : std::nullopt;
}

Value flag(bool on) { return int64_t{on}; }

Key read_key(const Row& row) {
  Key key;
  key.id = text_at(row, 0);
  key.settings.name = text_at(row, 1);
  key.prefix = text_at(row, 2);
  key.hash = text_at(row, 3);
  key.previous_prefix = text_at(row, 4);
  key.previous_hash = text_at(row, 5);
  key.previous_until = number_at(row, 6);
  key.admin = number_at(row, 7) != 0;
  key.revoked = number_at(row, 8) != 0;
  key.settings.consent = number_at(row, 9) != 0;
  key.settings.postpaid = number_at(row, 10) != 0;
  key.settings.priority =
      static_cast<int>(std::clamp<int64_t>(number_at(row, 11), -kMostPriority, kMostPriority));
  key.settings.limits = {optional_at(row, 12), optional_at(row, 13), optional_at(row, 14),
                         optional_at(row, 15)};
  for (const auto& model : base::parse_json(text_at(row, 16), "ledger")) {
    if (model.is_string()) key.settings.models.push_back(model.get<std::string>());
  }
  key.created = number_at(row, 17);
  key.last_used = number_at(row, 18);
  key.granted = number_at(row, 19);
  key.topped_up = number_at(row, 20);
  return key;
}

std::vector<Value> values_of(const Key& key) {
  const KeySettings& s = key.settings;
  return {key.id,
          s.name,
          key.prefix,
          key.hash,
          key.previous_prefix,
          key.previous_hash,
          key.previous_until,
          flag(key.admin),
          flag(key.revoked),
          flag(s.consent),
          flag(s.postpaid),
          int64_t{s.priority},
          optional_value(s.limits.concurrency),
          optional_value(s.limits.tokens_per_minute),
          optional_value(s.limits.daily_tokens),
          optional_value(s.limits.monthly_spend),
          base::dump_json(base::Json(s.models)),
          key.created};
}

void check_limit(const char* name, const std::optional<int64_t>& limit, int64_t least) {
  if (limit && *limit < least) {
    throw_error(ErrorCode::kBadInput, "[ledger] {}: {} is below {}; leave it out for no limit", name, *limit,
                least);
  }
}

}  // namespace

void check_settings(const KeySettings& settings) {
  const std::string& name = settings.name;
  const bool control = std::ranges::any_of(name, [](char c) { return static_cast<unsigned char>(c) < 0x20; });
  if (name.empty() || name.size() > kMostNameBytes || control) {
    throw_error(ErrorCode::kBadInput, "[ledger] name: 1 to {} bytes on one line are needed", kMostNameBytes);
  }
  check_limit("concurrency", settings.limits.concurrency, 1);
  check_limit("tokens_per_minute", settings.limits.tokens_per_minute, 1);
  check_limit("daily_tokens", settings.limits.daily_tokens, 1);
  check_limit("monthly_spend", settings.limits.monthly_spend, 0);
  if (settings.priority < -kMostPriority || settings.priority > kMostPriority) {
    throw_error(ErrorCode::kBadInput, "[ledger] priority: {} is not within -{} and {}", settings.priority,
                kMostPriority, kMostPriority);
  }
  if (settings.models.size() > kMostModels) {
    throw_error(ErrorCode::kBadInput, "[ledger] models: {} names; at most {} are kept",
                settings.models.size(), kMostModels);
  }
  for (const std::string& model : settings.models) {
    if (model.empty() || model.size() > 200)
      throw_error(ErrorCode::kBadInput, "[ledger] models: a name of 0 or over 200 bytes");
  }
}

std::string renew_secret(Key& key, int64_t grace_ms) {
  const std::string secret = make_secret();
  key.previous_prefix = grace_ms > 0 ? key.prefix : "";
  key.previous_hash = grace_ms > 0 ? key.hash : "";
  key.previous_until = grace_ms > 0 ? unix_ms() + grace_ms : 0;
  key.prefix = prefix_of(secret);
  key.hash = secret_hash(secret);
  return secret;
}

std::vector<Key> Store::keys() {
  std::vector<Key> keys;
  for (const Row& row : database_->run(std::string(kSelect) + " ORDER BY created, id").rows) {
    keys.push_back(read_key(row));
  }
  return keys;
}

std::optional<Key> Store::find_key(const std::string& id) {
  const Result result = database_->run(std::string(kSelect) + " WHERE id = $1", {id});
  if (result.rows.empty()) return {};
  return read_key(result.rows[0]);
}

Key Store::require_key(const std::string& id_or_name) {
  std::vector<Key> named;
  for (Key& key : keys()) {
    if (key.id == id_or_name || key.prefix == id_or_name) return key;
    if (key.settings.name == id_or_name && !key.revoked) named.push_back(std::move(key));
  }
  if (named.size() == 1) return named[0];
  if (named.empty()) {
    throw_error(ErrorCode::kBadInput, "[keys] there is no key \"{}\": hadal keys list shows them",
                id_or_name);
  }
  throw_error(ErrorCode::kBadInput, "[keys] {} keys are named \"{}\": give the id of one, such as {}",
              named.size(), id_or_name, named[0].id);
}

void Store::add_key(const Key& key, Nanos credit) {
  check_settings(key.settings);
  Transaction transaction(*database_);
  database_->run(kInsert, values_of(key));
  if (credit != 0) {
    Key poor = key;
    poor.granted = poor.topped_up = 0;
    add_credit(make_key_id() + make_key_id(), poor, credit, false);
  }
  next_generation();
  transaction.commit();
}

bool Store::update_key(const Key& key) {
  check_settings(key.settings);
  Transaction transaction(*database_);
  std::vector<Value> values = values_of(key);
  values.pop_back();  // created stays
  if (database_->run(kUpdate, values).changed == 0) return false;
  next_generation();
  transaction.commit();
  return true;
}

// Within a transaction.
void Store::add_credit(const std::string& id, const Key& key, Nanos amount, bool granted) {
  const char* statement = granted ? "UPDATE api_keys SET granted = granted + $2 WHERE id = $1"
                                  : "UPDATE api_keys SET topped_up = topped_up + $2 WHERE id = $1";
  const Nanos after = (granted ? key.granted : key.topped_up) + amount;
  if (after > kMostMoney || after < -kMostMoney) {
    throw_error(ErrorCode::kBadInput, "[ledger] a balance of {} is out of range", money_text(after));
  }
  database_->run(statement, {key.id, amount});
  database_->run("INSERT INTO credits VALUES ($1, $2, $3, $4, $5)",
                 {id, key.id, unix_ms(), amount, flag(granted)});
}

Store::Credit Store::credit(const std::string& key_id, Nanos amount, bool granted, const std::string& once) {
  if (once.size() > kMostOnceBytes) {
    throw_error(ErrorCode::kBadInput, "[ledger] an idempotency key of {} bytes; at most {} are kept",
                once.size(), kMostOnceBytes);
  }
  Transaction transaction(*database_);
  // Takes the row: in PostgreSQL the second of two that credit a key at once waits here for the first.
  if (database_->run("UPDATE api_keys SET last_used = last_used WHERE id = $1", {key_id}).changed == 0)
    return Credit::kNoKey;
  const Key key = *find_key(key_id);
  const std::string id =
      once.empty() ? make_key_id() + make_key_id() : "once-" + secret_hash(key_id + "\n" + once);
  const Result known = database_->run("SELECT amount, is_granted FROM credits WHERE id = $1", {id});
  if (!known.rows.empty()) {
    const Row& row = known.rows[0];
    if (number_at(row, 0) != amount || (number_at(row, 1) != 0) != granted) {
      throw_error(ErrorCode::kBadInput,
                  "[ledger] the idempotency key \"{}\" stands for a credit of {}, not {}: use another one",
                  once, money_text(number_at(row, 0)), money_text(amount));
    }
    return Credit::kKnown;
  }
  add_credit(id, key, amount, granted);
  next_generation();
  transaction.commit();
  return Credit::kAdded;
}

}  // namespace hadal::ledger
