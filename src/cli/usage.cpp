// hadal usage: what keys and models have used and what it cost, for people, spreadsheets and scripts.
#include <fmt/format.h>

#include <map>
#include <memory>

#include "base/error.h"
#include "base/json.h"
#include "cli/command.h"
#include "cli/ledger_flags.h"
#include "ledger/ledger_json.h"

namespace hadal::cli {
namespace {

using base::Json;
using ledger::UsageBy;
using ledger::UsageRecord;
using ledger::UsageRow;
using ledger::UsageSplit;

struct UsageFlags {
  std::string database;
  std::string by = "day", split, from = "30d", to, key, model;
  bool records = false, check = false, csv = false, json = false;
  int64_t limit = 1'000'000;
};

// Quoted where it must be (RFC 4180), and never a formula to a spreadsheet.
std::string csv_field(std::string text) {
  if (!text.empty() && std::string_view("=+-@\t").find(text[0]) != std::string_view::npos) text = "'" + text;
  if (text.find_first_of(",\"\n\r") == std::string::npos) return text;
  std::string quoted = "\"";
  for (const char c : text) quoted += c == '"' ? std::string("\"\"") : std::string(1, c);
  return quoted + "\"";
}

struct Names {
  std::map<std::string, std::string> by_id;
  explicit Names(ledger::Store& store) {
    for (const ledger::Key& key : store.keys()) by_id[key.id] = key.settings.name;
  }
  std::string of(const std::string& id) const {
    const auto found = by_id.find(id);
    return found == by_id.end() ? std::string() : found->second;
  }
};

ledger::UsageFilter filter_of(const UsageFlags& flags, ledger::Store& store) {
  ledger::UsageFilter filter;
  filter.from = parse_time(flags.from, "--from");
  filter.to = flags.to.empty() ? ledger::unix_ms() + 1000 : parse_time(flags.to, "--to");
  if (!flags.key.empty()) filter.key_id = store.require_key(flags.key).id;
  filter.model = flags.model;
  return filter;
}

void print_records(const UsageFlags& flags, ledger::Store& store) {
  const Names names(store);
  const auto records = store.records(filter_of(flags, store), flags.limit);
  if (flags.json) {
    Json list = Json::array();
    for (const UsageRecord& r : records) {
      Json json = ledger::record_json(r);
      json["started_at"] = static_cast<double>(r.started) / 1000;
      json["ended_at"] = static_cast<double>(r.ended) / 1000;
      json["key_name"] = names.of(r.key_id);
      list.push_back(std::move(json));
    }
    fmt::print("{}\n", base::dump_json({{"currency", currency_of(store)}, {"requests", list}}, 2));
    return;
  }
  fmt::print(
      "id,ended,key,key_name,model,endpoint,status,prompt_tokens,cache_hit_tokens,cache_miss_tokens,"
      "completion_tokens,reasoning_tokens,cost_{}\n",
      currency_of(store));
  for (const UsageRecord& r : records) {
    fmt::print("{},{},{},{},{},{},{},{},{},{},{},{},{}\n", csv_field(r.request_id), time_text(r.ended),
               r.key_id, csv_field(names.of(r.key_id)), csv_field(r.model), r.endpoint, r.status,
               r.tokens.prompt, r.tokens.cached, r.tokens.prompt - r.tokens.cached, r.tokens.completion,
               r.tokens.reasoning, ledger::money_text(r.cost));
  }
}

std::string start_text(const UsageFlags& flags, const UsageRow& row) {
  return flags.by == "hour" ? time_text(row.start) : flags.by == "day" ? day_text(row.start) : "";
}

void print_sums(const UsageFlags& flags, ledger::Store& store) {
  static const std::map<std::string, UsageBy> kBy = {
      {"hour", UsageBy::kHour}, {"day", UsageBy::kDay}, {"key", UsageBy::kKey}, {"model", UsageBy::kModel}};
  const UsageSplit split = flags.split == "key"     ? UsageSplit::kKey
                           : flags.split == "model" ? UsageSplit::kModel
                                                    : UsageSplit::kNone;
  const Names names(store);
  const std::string currency = currency_of(store);
  const auto rows = store.usage(filter_of(flags, store), kBy.at(flags.by), split);
  Json list = Json::array();
  if (flags.csv)
    fmt::print(
        "start,key,key_name,model,requests,failed,prompt_tokens,cache_hit_tokens,cache_miss_tokens,"
        "completion_tokens,reasoning_tokens,cost_{}\n",
        currency);
  else if (!flags.json)
    fmt::print("{:<36} {:>9} {:>7} {:>12} {:>12} {:>12} {:>16}\n",
               flags.by + (flags.split.empty() ? "" : ", " + flags.split), "requests", "failed", "hit tokens",
               "miss tokens", "output", "cost " + currency);
  UsageRow total;
  for (const UsageRow& row : rows) {
    const auto& t = row.tokens;
    const std::string cost = ledger::money_text(row.cost);
    if (flags.json) {
      Json json = ledger::sums_json(row);
      json["start"] = row.start == 0 ? Json(nullptr) : Json(row.start / 1000);
      json["key"] = row.key_id.empty() ? Json(nullptr) : Json(row.key_id);
      json["key_name"] = row.key_id.empty() ? Json(nullptr) : Json(names.of(row.key_id));
      json["model"] = row.model.empty() ? Json(nullptr) : Json(row.model);
      list.push_back(std::move(json));
    } else if (flags.csv) {
      fmt::print("{},{},{},{},{},{},{},{},{},{},{},{}\n", start_text(flags, row), row.key_id,
                 csv_field(names.of(row.key_id)), csv_field(row.model), row.requests, row.failed, t.prompt,
                 t.cached, t.prompt - t.cached, t.completion, t.reasoning, cost);
    } else {
      std::string label = start_text(flags, row);
      for (const std::string& part : {row.key_id.empty() ? std::string() : names.of(row.key_id), row.model}) {
        if (!part.empty()) label += (label.empty() ? "" : "  ") + part;
      }
      fmt::print("{:<36} {:>9} {:>7} {:>12} {:>12} {:>12} {:>16}\n", label, row.requests, row.failed,
                 t.cached, t.prompt - t.cached, t.completion, cost);
    }
    total += row;
  }
  if (flags.json) {
    fmt::print("{}\n", base::dump_json({{"by", flags.by}, {"currency", currency}, {"rows", list}}, 2));
  } else if (!flags.csv && rows.size() > 1) {
    fmt::print("{:<36} {:>9} {:>7} {:>12} {:>12} {:>12} {:>16}\n", "in all", total.requests, total.failed,
               total.tokens.cached, total.tokens.prompt - total.tokens.cached, total.tokens.completion,
               ledger::money_text(total.cost));
  }
}

void run_usage(const UsageFlags& flags) {
  const auto store = open_store(flags.database);
  if (flags.check) {
    const auto wrong = store->disagreements();
    if (!wrong.empty()) {
      throw_error(ErrorCode::kIo,
                  "[usage] {} balances do not agree with credits and records; the first is {}", wrong.size(),
                  wrong[0]);
    }
    fmt::print("every balance agrees with its credits and records\n");
    return;
  }
  flags.records ? print_records(flags, *store) : print_sums(flags, *store);
}

}  // namespace

void add_usage(CLI::App& app) {
  CLI::App* command = add_command(app, "usage", "What keys and models have used, and what it cost",
                                  "  hadal usage --keys keys.db\n"
                                  "  hadal usage --keys keys.db --by key --from 2026-11-01 --to 2026-12-01\n"
                                  "  hadal usage --keys keys.db --by day --split model --csv\n"
                                  "  hadal usage --keys keys.db --records --key alice --from 12h --json\n"
                                  "  hadal usage --keys keys.db --check");
  const auto flags = std::make_shared<UsageFlags>();
  add_keys_option(*command, flags->database);
  command->add_option("--by", flags->by, "hour, day, key or model")
      ->check(CLI::IsMember({"hour", "day", "key", "model"}))
      ->capture_default_str();
  command->add_option("--split", flags->split, "divide further: key or model")
      ->check(CLI::IsMember({"key", "model"}));
  command->add_option("--from", flags->from, "a date (UTC) or an age such as 12h")->capture_default_str();
  command->add_option("--to", flags->to, "not included; now where it is left out");
  command->add_option("--key", flags->key, "of one key: its id, name or beginning");
  command->add_option("--model", flags->model, "of one model");
  command->add_flag("--records", flags->records,
                    "every request instead of sums, newest first; CSV unless --json");
  command->add_option("--limit", flags->limit, "most --records")
      ->check(CLI::Range(int64_t{1}, int64_t{1} << 40))
      ->capture_default_str();
  command->add_flag("--check", flags->check,
                    "that balances agree with credits and records; exit status 1 if not");
  auto* csv = command->add_flag("--csv", flags->csv, "for a spreadsheet");
  command->add_flag("--json", flags->json, "print one JSON object")->excludes(csv);
  command->callback([flags] { run_usage(*flags); });
}

}  // namespace hadal::cli
