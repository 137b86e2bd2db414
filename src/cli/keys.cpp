// hadal keys: who may use a server, and how much. A running server sees changes within a second.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/ledger_flags.h"
#include "ledger/ledger_json.h"
#include "ledger/secrets.h"

namespace hadal::cli {
namespace {

using base::Json;
using ledger::Key;

struct KeysFlags {
  std::string database;
  bool json = false;
  std::string key;  // id, name or prefix
  bool all = false;
  bool admin = false;
  // Settings as text; empty: not given.
  std::string name, concurrency, per_minute, daily, spend, consent, postpaid, credit;
  std::optional<int> priority;
  std::vector<std::string> models;
  double grace_seconds = 0;
  std::string amount;
  std::optional<std::string> once;
  bool granted = false;
};

// "none" takes the limit away.
void set_limit(const std::string& text, const char* name, std::optional<int64_t>& limit) {
  if (text.empty()) return;
  if (text == "none") {
    limit.reset();
    return;
  }
  try {
    size_t used = 0;
    limit = std::stoll(text, &used);
    if (used == text.size()) return;
  } catch (const std::exception&) {
  }
  throw_error(ErrorCode::kBadInput, "[keys] --{}: \"{}\" is not a whole number or \"none\"", name, text);
}

bool parse_flag(const std::string& text, const char* name) {
  if (text == "on" || text == "true" || text == "yes") return true;
  if (text == "off" || text == "false" || text == "no") return false;
  throw_error(ErrorCode::kBadInput, "[keys] --{}: \"{}\" is not on or off", name, text);
}

void apply(const KeysFlags& flags, Key& key) {
  auto& s = key.settings;
  if (!flags.name.empty()) s.name = flags.name;
  set_limit(flags.concurrency, "concurrency", s.limits.concurrency);
  set_limit(flags.per_minute, "tokens-per-minute", s.limits.tokens_per_minute);
  set_limit(flags.daily, "daily-tokens", s.limits.daily_tokens);
  if (flags.spend == "none")
    s.limits.monthly_spend.reset();
  else if (!flags.spend.empty())
    s.limits.monthly_spend = ledger::parse_money(flags.spend, "--monthly-spend");
  if (flags.priority) s.priority = *flags.priority;
  if (!flags.models.empty()) {
    s.models = flags.models;
    if (s.models.size() == 1 && s.models[0] == "all") s.models.clear();
  }
  if (!flags.consent.empty()) s.consent = parse_flag(flags.consent, "consent");
  if (!flags.postpaid.empty()) s.postpaid = parse_flag(flags.postpaid, "postpaid");
}

void print_secret(const KeysFlags& flags, const Key& key, const std::string& secret,
                  const std::string& currency) {
  if (flags.json) {
    fmt::print("{}\n", base::dump_json({{"key", ledger::key_json(key, currency)}, {"secret", secret}}, 2));
    return;
  }
  fmt::print("{}\n", secret);
  fmt::print(stderr, "{} \"{}\": this is its secret; it is shown only now\n", key.id, key.settings.name);
}

void print_key(const KeysFlags& flags, ledger::Store& store, const std::string& id, const std::string& what) {
  const Key key = *store.find_key(id);
  if (flags.json)
    fmt::print("{}\n", base::dump_json({{"key", ledger::key_json(key, currency_of(store))}}, 2));
  else
    fmt::print("{} \"{}\": {}\n", key.id, key.settings.name, what);
}

// ---- The commands

void run_create(const KeysFlags& flags) {
  const auto store = open_store(flags.database);
  Key key;
  key.id = ledger::make_key_id();
  key.created = ledger::unix_ms();
  key.admin = flags.admin;
  apply(flags, key);
  const auto credit = flags.credit.empty() ? 0 : ledger::parse_money(flags.credit, "--credit");
  const std::string secret = ledger::renew_secret(key, 0);
  store->add_key(key, credit);
  print_secret(flags, *store->find_key(key.id), secret, currency_of(*store));
}

std::string limit_text(const std::optional<int64_t>& limit) {
  return limit ? fmt::format("{}", *limit) : "-";
}

void run_list(const KeysFlags& flags) {
  const auto store = open_store(flags.database);
  const std::string currency = currency_of(*store);
  Json list = Json::array();
  if (!flags.json) {
    fmt::print("{:<15} {:<20} {:<12} {:>5} {:>8} {:>9} {:>14}  {}\n", "id", "name", "begins with", "conc.",
               "tok/min", "tok/day", "balance " + currency, "last used (UTC)");
  }
  for (const Key& key : store->keys()) {
    if (key.revoked && !flags.all) continue;
    if (flags.json) {
      list.push_back(ledger::key_json(key, currency));
      continue;
    }
    const auto& limits = key.settings.limits;
    fmt::print("{:<15} {:<20} {:<12} {:>5} {:>8} {:>9} {:>14}  {}{}\n", key.id, key.settings.name, key.prefix,
               limit_text(limits.concurrency), limit_text(limits.tokens_per_minute),
               limit_text(limits.daily_tokens), ledger::money_text(key.balance()),
               key.last_used == 0 ? "never" : time_text(key.last_used),
               key.revoked ? "  revoked"
               : key.admin ? "  admin"
                           : "");
  }
  if (flags.json) fmt::print("{}\n", base::dump_json({{"currency", currency}, {"keys", list}}, 2));
}

void run_revoke(const KeysFlags& flags) {
  const auto store = open_store(flags.database);
  Key key = store->require_key(flags.key);
  key.revoked = true;
  store->update_key(key);
  print_key(flags, *store, key.id, "revoked; its records stay");
}

void run_rotate(const KeysFlags& flags) {
  const auto store = open_store(flags.database);
  Key key = store->require_key(flags.key);
  if (key.revoked) throw_error(ErrorCode::kBadInput, "[keys] {} is revoked: create another", key.id);
  const std::string secret = ledger::renew_secret(key, static_cast<int64_t>(flags.grace_seconds * 1000));
  store->update_key(key);
  print_secret(flags, key, secret, currency_of(*store));
}

void run_set(const KeysFlags& flags) {
  const auto store = open_store(flags.database);
  Key key = store->require_key(flags.key);
  apply(flags, key);
  store->update_key(key);
  print_key(flags, *store, key.id, "changed");
}

void run_credit(const KeysFlags& flags) {
  if (flags.once && flags.once->empty()) {
    throw_error(ErrorCode::kBadInput,
                "[keys] --idempotency-key is empty: give this credit a name, or leave the option out");
  }
  const auto store = open_store(flags.database);
  const Key key = store->require_key(flags.key);
  const auto amount = ledger::parse_money(flags.amount, "amount");
  const auto credit = store->credit(key.id, amount, flags.granted, flags.once.value_or(std::string()));
  print_key(flags, *store, key.id,
            fmt::format("{}its balance is {} {}",
                        credit == ledger::Store::Credit::kKnown ? "it had this credit already; " : "",
                        ledger::money_text(store->find_key(key.id)->balance()), currency_of(*store)));
}

void add_settings(CLI::App& command, KeysFlags& flags) {
  command.add_option("--concurrency", flags.concurrency, "requests at once; none: any");
  command.add_option("--tokens-per-minute", flags.per_minute, "prompt and answer; none: any");
  command.add_option("--daily-tokens", flags.daily, "of a day in UTC; none: any");
  command.add_option("--monthly-spend", flags.spend, "money of a calendar month in UTC; none: any");
  command.add_option("--priority", flags.priority, "larger goes first; usually 0")
      ->check(CLI::Range(-ledger::kMostPriority, ledger::kMostPriority));
  command
      .add_option("--model", flags.models, "a model that it may use (may be given several times); all: every")
      ->allow_extra_args(false);
  command.add_option("--consent", flags.consent, "on: its owner lets feedback be stored");
  command.add_option("--postpaid", flags.postpaid, "on: its balance may go below zero");
}

CLI::App* add_keys_command(CLI::App& keys, const std::shared_ptr<KeysFlags>& flags, const char* name,
                           const char* purpose, const char* examples, void (*run)(const KeysFlags&),
                           bool of_one) {
  CLI::App* command = add_command(keys, name, purpose, examples);
  add_keys_option(*command, flags->database);
  command->add_flag("--json", flags->json, "print one JSON object");
  if (of_one) command->add_option("key", flags->key, "its id, name or beginning")->required();
  command->callback([flags, run] { run(*flags); });
  return command;
}

}  // namespace

void add_keys(CLI::App& app) {
  CLI::App* keys = add_command(app, "keys", "Make, list, change and revoke API keys",
                               "  hadal keys create --keys keys.db --name alice --credit 10.00\n"
                               "  hadal keys list --keys keys.db\n"
                               "  hadal serve --model models/hadal-nano --keys keys.db --prices prices.toml\n"
                               "docs/guide/keys.md says more.");
  keys->require_subcommand(1);
  const auto flags = std::make_shared<KeysFlags>();
  CLI::App* create = add_keys_command(*keys, flags, "create", "Make a key and print its secret, once",
                                      "  hadal keys create --keys keys.db --name alice\n"
                                      "  hadal keys create --keys keys.db --name ops --admin\n"
                                      "  hadal keys create --keys keys.db --name web --concurrency 8 "
                                      "--tokens-per-minute 60000 --credit 25.00",
                                      run_create, false);
  create->add_option("--name", flags->name, "whose it is")->required();
  create->add_flag("--admin", flags->admin, "may use /admin and /metrics");
  create->add_option("--credit", flags->credit, "money to begin with, such as 10.00");
  add_settings(*create, *flags);
  add_keys_command(*keys, flags, "list", "Every key, with limits and balance",
                   "  hadal keys list --keys keys.db --all", run_list, false)
      ->add_flag("--all", flags->all, "revoked ones too");
  add_keys_command(*keys, flags, "revoke", "From now on the key is refused",
                   "  hadal keys revoke alice --keys keys.db", run_revoke, true);
  add_keys_command(*keys, flags, "rotate", "A new secret for the same key",
                   "  hadal keys rotate alice --keys keys.db --grace 1h", run_rotate, true)
      ->add_option("--grace", flags->grace_seconds, "the old secret works for so long, such as 30m or 1d")
      ->transform(
          CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}, {"d", 86400}},
                                CLI::AsNumberWithUnit::CASE_SENSITIVE))
      ->check(CLI::Range(0.0, 366 * 86400.0));
  CLI::App* set =
      add_keys_command(*keys, flags, "set", "Change a key's limits and settings",
                       "  hadal keys set alice --keys keys.db --concurrency 16 --daily-tokens none\n"
                       "  hadal keys set alice --keys keys.db --consent on",
                       run_set, true);
  set->add_option("--name", flags->name, "another name");
  add_settings(*set, *flags);
  CLI::App* credit = add_keys_command(*keys, flags, "credit", "Add to a key's balance, or take away",
                                      "  hadal keys credit alice 10.00 --keys keys.db\n"
                                      "  hadal keys credit alice 10.00 --keys keys.db --idempotency-key "
                                      "invoice-2026-118\n"
                                      "  hadal keys credit alice --keys keys.db -- -2.50",
                                      run_credit, true);
  credit->add_option("amount", flags->amount, "such as 10.00; below zero takes away")->required();
  credit->add_flag("--granted", flags->granted, "a gift: it is spent before what was paid for");
  credit->add_option("--idempotency-key", flags->once,
                     "any name of this credit: run again with it, nothing more is added");
}

}  // namespace hadal::cli
