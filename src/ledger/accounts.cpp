#include "ledger/accounts.h"

#include <algorithm>

#include "ledger/secrets.h"

namespace hadal::ledger {

namespace {

constexpr size_t kMostSecretBytes = 256;
constexpr double kReservedRetrySeconds = 1;  // what runs may end at any time

void add(Claim& sum, const Claim& more) {
  sum.tokens += more.tokens;
  sum.cost += more.cost;
  sum.unseen += more.unseen;
}

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

void Accounts::Minute::count(int64_t tokens, int64_t now) {
  const int64_t second = now / 1000;
  Second& bucket = seconds_[static_cast<size_t>(second % 60)];
  if (bucket.second != second) bucket = {second, 0};
  bucket.tokens += tokens;
}

double Accounts::Minute::wait_for(int64_t tokens, int64_t limit, int64_t now) const {
  const int64_t second = now / 1000;
  int64_t used = 0;
  for (const Second& bucket : seconds_) used += bucket.second > second - 60 ? bucket.tokens : 0;
  if (used + tokens <= limit) return 0;
  for (int64_t wait = 1; wait < 60; ++wait) {  // what is 60 s old by then no longer counts
    const int64_t leaving = second - 60 + wait;
    const Second& bucket = seconds_[static_cast<size_t>(leaving % 60)];
    if (bucket.second == leaving) used -= bucket.tokens;
    if (used + tokens <= limit) return static_cast<double>(wait);
  }
  return 60;
}

// As the database has it.
DayTotal Accounts::today(const Account& account, int64_t now) {
  const auto found = account.days.find(now / kDayMs);
  return found != account.days.end() ? found->second : DayTotal{};
}

Decision Accounts::judge_money(const Account& account, bool costs, int64_t now) {
  if (!costs) return {};
  const KeySettings& settings = account.key.settings;
  if (!settings.postpaid) {
    const Nanos balance = account.key.balance();
    if (balance - account.sent.cost <= 0) return {Verdict::kBalance};
    if (balance - account.claimed.cost <= 0) return {Verdict::kBalance, 0, kReservedRetrySeconds, true};
  }
  if (!settings.limits.monthly_spend) return {};
  const Nanos limit = *settings.limits.monthly_spend;
  const int64_t first = first_day_of_month(now / kDayMs);
  Nanos spent = 0;
  for (const auto& [day, total] : account.days) spent += day >= first ? total.cost : 0;
  if (spent + account.sent.cost >= limit) return {Verdict::kMonthlySpend, limit, seconds_to_next_month(now)};
  if (spent + account.claimed.cost >= limit)
    return {Verdict::kMonthlySpend, limit, kReservedRetrySeconds, true};
  return {};
}

Decision Accounts::judge_tokens(const Account& account, int64_t prompt_tokens, int64_t now) {
  const Limits& limits = account.key.settings.limits;
  if (limits.daily_tokens) {
    const int64_t limit = *limits.daily_tokens;
    const int64_t used = today(account, now).tokens + prompt_tokens;
    if (used + account.sent.tokens > limit) return {Verdict::kDailyTokens, limit, seconds_to_next_day(now)};
    if (used + account.claimed.tokens > limit)
      return {Verdict::kDailyTokens, limit, kReservedRetrySeconds, true};
  }
  if (limits.tokens_per_minute) {
    const int64_t limit = *limits.tokens_per_minute;
    const double wait = account.minute.wait_for(prompt_tokens, limit, now);
    if (wait > 0) return {Verdict::kTokensPerMinute, limit, wait};
    if (account.minute.wait_for(prompt_tokens + account.claimed.unseen, limit, now) > 0)
      return {Verdict::kTokensPerMinute, limit, kReservedRetrySeconds, true};
  }
  return {};
}

Decision Accounts::enter(const std::string& key_id, Purpose purpose, bool costs, int64_t now) {
  constexpr int64_t kLeastPrompt = 1;
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end() || found->second.key.revoked) return {Verdict::kUnknownKey};
  Account& account = found->second;
  const Limits& limits = account.key.settings.limits;
  if (const double wait = account.refused.wait_for(1, kMostRefusedTokens, now); wait > 0)
    return {Verdict::kRefusedTokens, kMostRefusedTokens, wait};
  Decision decision = judge_money(account, costs, now);
  if (decision.verdict != Verdict::kAdmitted) return decision;
  if (limits.concurrency && account.running >= *limits.concurrency)
    return {Verdict::kConcurrency, *limits.concurrency, 1};
  if (purpose == Purpose::kGenerate) {
    decision = judge_tokens(account, kLeastPrompt, now);
  } else if (limits.tokens_per_minute) {
    const double wait = account.tokenized.wait_for(kLeastPrompt, *limits.tokens_per_minute, now);
    if (wait > 0) decision = {Verdict::kTokensPerMinute, *limits.tokens_per_minute, wait};
  }
  if (decision.verdict == Verdict::kAdmitted) ++account.running;
  return decision;
}

void Accounts::leave(const std::string& key_id) {
  const std::lock_guard lock(mutex_);
  if (const auto found = accounts_.find(key_id); found != accounts_.end()) --found->second.running;
}

Decision Accounts::allow(const std::string& key_id, std::string_view asked_model,
                         std::string_view served_model, bool costs, int64_t now) const {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end() || found->second.key.revoked) return {Verdict::kUnknownKey};
  const KeySettings& settings = found->second.key.settings;
  if (!settings.models.empty() && !has_model(settings, asked_model) && !has_model(settings, served_model))
    return {Verdict::kModel};
  return judge_money(found->second, costs, now);
}

Decision Accounts::claim(const std::string& key_id, int64_t prompt_tokens, const Claim& most, int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end()) return {Verdict::kUnknownKey};
  Account& account = found->second;
  Decision decision = judge_money(account, most.cost > 0, now);
  if (decision.verdict == Verdict::kAdmitted) decision = judge_tokens(account, prompt_tokens, now);
  if (decision.verdict == Verdict::kAdmitted) {
    add(account.claimed, most);
    account.minute.count(prompt_tokens, now);
  } else {
    account.refused.count(prompt_tokens, now);
  }
  return decision;
}

void Accounts::count_tokenized(const std::string& key_id, int64_t tokens, int64_t now) {
  const std::lock_guard lock(mutex_);
  if (const auto found = accounts_.find(key_id); found != accounts_.end())
    found->second.tokenized.count(tokens, now);
}

void Accounts::change(const std::string& key_id, const Claim& sent, const Claim& claimed,
                      int64_t fresh_tokens, int64_t now) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  add(account.sent, sent);
  add(account.claimed, claimed);
  account.minute.count(fresh_tokens, now);
}

void Accounts::settled(const UsageRecord& record) {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(record.key_id);
  if (found == accounts_.end()) return;
  Account& account = found->second;
  const int64_t tokens = record.tokens.prompt + record.tokens.completion;
  for (Claim* held : {&account.sent, &account.claimed}) add(*held, {-tokens, -record.cost, 0});
  // As the database did it (store_usage.cpp).
  Key& key = account.key;
  const Nanos from_granted = std::clamp<Nanos>(record.cost, 0, std::max<Nanos>(key.granted, 0));
  key.granted -= from_granted;
  key.topped_up -= record.cost - from_granted;
  key.last_used = std::max(key.last_used, record.ended);
  DayTotal& day = account.days[record.ended / kDayMs];
  ++day.requests;
  day.tokens += tokens;
  day.cost += record.cost;
}

std::optional<Standing> Accounts::standing(const std::string& key_id, int64_t now) const {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  if (found == accounts_.end()) return {};
  const Account& account = found->second;
  Standing standing;
  const Nanos owed = account.sent.cost;
  const Nanos from_granted = std::clamp<Nanos>(owed, 0, std::max<Nanos>(account.key.granted, 0));
  standing.granted = account.key.granted - from_granted;
  standing.topped_up = account.key.topped_up - (owed - from_granted);
  standing.running = account.running;
  standing.today = today(account, now);
  standing.today.tokens += account.sent.tokens;
  standing.today.cost += account.sent.cost;
  standing.can_spend = account.key.settings.postpaid || standing.granted + standing.topped_up > 0;
  return standing;
}

std::string Accounts::name_of(const std::string& key_id) const {
  const std::lock_guard lock(mutex_);
  const auto found = accounts_.find(key_id);
  return found == accounts_.end() ? std::string() : found->second.key.settings.name;
}

}  // namespace hadal::ledger
