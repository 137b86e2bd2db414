#include "ledger/accounts.h"

#include <algorithm>

#include "ledger/secrets.h"

namespace hadal::ledger {

namespace {

constexpr size_t kMostSecretBytes = 256;

bool has_model(const KeySettings& settings, std::string_view model) {
  return std::ranges::find(settings.models, model) != settings.models.end();
}

double seconds_to_next_day(int64_t now) { return static_cast<double>(kDayMs - now % kDayMs) / 1000; }

double seconds_to_next_month(int64_t now) {
  const int64_t day = now / kDayMs;
  int64_t next = day + 1;
  while (first_day_of_month(next) <= day) ++next;
  return static_cast<double>(next * kDayMs - now) / 1000;
}

}  // namespace

void Accounts::load(std::vector<Key> keys, const std::vector<DayTotal>& totals, int64_t now) {
  const std::lock_guard lock(mutex_);
  by_prefix_.clear();
  for (Key& key : keys) {
    if (!key.revoked) {
      by_prefix_[key.prefix] = key.id;
      if (key.previous_until > now) by_prefix_[key.previous_prefix] = key.id;
    }
    Account& account = accounts_[key.id];
    account.days.clear();
    account.key = std::move(key);
  }
  for (const DayTotal& total : totals) {
    if (const auto found = accounts_.find(total.key_id); found != accounts_.end())
      found->second.days[total.day] = total;
  }
}

std::optional<Caller> Accounts::authenticate(std::string_view secret, int64_t now) const {
  if (secret.size() > kMostSecretBytes) return {};
  const std::string hash = secret_hash(secret);
  const std::string prefix = prefix_of(secret);
  // Compared with something in any case: an unknown prefix costs what a wrong secret costs.
  std::string wanted(hash.size(), '0');
  std::string key_id;
  {
    const std::lock_guard lock(mutex_);
    const auto id = by_prefix_.find(prefix);
    const auto found = id == by_prefix_.end() ? accounts_.end() : accounts_.find(id->second);
    if (found != accounts_.end()) {
      const Key& key = found->second.key;
      const bool old = key.prefix != prefix;
      if (!old || key.previous_until > now) wanted = old ? key.previous_hash : key.hash;
      key_id = key.id;
    }
  }
  if (!equal_in_constant_time(hash, wanted)) return {};
  const std::lock_guard lock(mutex_);
  const Key& key = accounts_.at(key_id).key;
  return Caller{key.id, key.settings.name, key.admin, key.settings.consent, key.settings.priority};
}

DayTotal Accounts::today(const Account& account, int64_t now) const {
  DayTotal total;
  if (const auto found = account.days.find(now / kDayMs); found != account.days.end()) total = found->second;
  total.tokens += account.unsettled_tokens;
  total.cost += account.unsettled_cost;
  return total;
}

Nanos Accounts::month_cost(const Account& account, int64_t now) {
  const int64_t first = first_day_of_month(now / kDayMs);
  Nanos cost = account.unsettled_cost;
  for (const auto& [day, total] : account.days) cost += day >= first ? total.cost : 0;
  return cost;
}

void Accounts::count_minute(Account& account, int64_t tokens, int64_t now) {
  const int64_t second = now / 1000;
  Second& bucket = account.minute[static_cast<size_t>(second % 60)];
  if (bucket.second != second) bucket = {second, 0};
  bucket.tokens += tokens;
}

// Seconds until `tokens` more fit the limit of a minute; 0: now.
double Accounts::wait_for_minute(const Account& account, int64_t tokens, int64_t limit, int64_t now) {
  const int64_t second = now / 1000;
  int64_t used = 0;
  for (const Second& bucket : account.minute) used += bucket.second > second - 60 ? bucket.tokens : 0;
  if (used + tokens <= limit) return 0;
  for (int64_t wait = 1; wait < 60; ++wait) {  // what is 60 s old by then no longer counts
    const int64_t leaving = second - 60 + wait;
    const Second& bucket = account.minute[static_cast<size_t>(leaving % 60)];
    if (bucket.second == leaving) used -= bucket.tokens;
    if (used + tokens <= limit) return static_cast<double>(wait);
  }
  return 60;
}

Decision Accounts::judge(const Account& account, std::string_view asked_model, std::string_view served_model,
                         int64_t prompt_tokens, bool costs, int64_t now) const {
  const KeySettings& settings = account.key.settings;
  const Limits& limits = settings.limits;
  if (account.key.revoked) return {Verdict::kUnknownKey};
  if (!settings.models.empty() && !has_model(settings, asked_model) && !has_model(settings, served_model)) {
    return {Verdict::kModel};
  }
  if (costs && !settings.postpaid && account.key.balance() - account.unsettled_cost <= 0)
    return {Verdict::kBalance};
  if (limits.monthly_spend && costs && month_cost(account, now) >= *limits.monthly_spend) {
    return {Verdict::kMonthlySpend, *limits.monthly_spend, seconds_to_next_month(now)};
  }
  if (limits.daily_tokens && today(account, now).tokens + prompt_tokens > *limits.daily_tokens) {
    return {Verdict::kDailyTokens, *limits.daily_tokens, seconds_to_next_day(now)};
  }
  if (limits.concurrency && account.running >= *limits.concurrency) {
    return {Verdict::kConcurrency, *limits.concurrency, 1};
  }
  if (limits.tokens_per_minute) {
    const double wait = wait_for_minute(account, prompt_tokens, *limits.tokens_per_minute, now);
    if (wait > 0) return {Verdict::kTokensPerMinute, *limits.tokens_per_minute, wait};
  }
  return {};
}

Decision Accounts::admit(const std::string& key_id, std::string_view asked_model,
                         std::string_view served_model, int64_t prompt_tokens, bool costs, int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end()) return {Verdict::kUnknownKey};
  Account& account = found->second;
  const Decision decision = judge(account, asked_model, served_model, prompt_tokens, costs, now);
  if (decision.verdict == Verdict::kAdmitted) {
    ++account.running;
    count_minute(account, prompt_tokens, now);
  }
  return decision;
}

void Accounts::leave(const std::string& key_id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = accounts_.find(key_id); found != accounts_.end()) --found->second.running;
}

void Accounts::add_unsettled(const std::string& key_id, int64_t tokens, Nanos cost, int64_t fresh_tokens,
                             int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  account.unsettled_tokens += tokens;
  account.unsettled_cost += cost;
  count_minute(account, fresh_tokens, now);
}

void Accounts::settled(const UsageRecord& record, int64_t unsettled_tokens, Nanos unsettled_cost) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(record.key_id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  account.unsettled_tokens -= unsettled_tokens;
  account.unsettled_cost -= unsettled_cost;
  // As the database did it (store_usage.cpp).
  Key& key = account.key;
  const Nanos from_granted = std::clamp<Nanos>(record.cost, 0, std::max<Nanos>(key.granted, 0));
  key.granted -= from_granted;
  key.topped_up -= record.cost - from_granted;
  key.last_used = std::max(key.last_used, record.ended);
  DayTotal& day = account.days[record.ended / kDayMs];
  ++day.requests;
  day.tokens += record.tokens.prompt + record.tokens.completion;
  day.cost += record.cost;
}

std::optional<Standing> Accounts::standing(const std::string& key_id, int64_t now) const {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end()) return {};
  const Account& account = found->second;
  Standing standing;
  const Nanos owed = account.unsettled_cost;
  const Nanos from_granted = std::clamp<Nanos>(owed, 0, std::max<Nanos>(account.key.granted, 0));
  standing.granted = account.key.granted - from_granted;
  standing.topped_up = account.key.topped_up - (owed - from_granted);
  standing.running = account.running;
  standing.today = today(account, now);
  standing.can_spend = account.key.settings.postpaid || standing.granted + standing.topped_up > 0;
  return standing;
}

std::string Accounts::name_of(const std::string& key_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  return found == accounts_.end() ? std::string() : found->second.key.settings.name;
}

}  // namespace hadal::ledger
