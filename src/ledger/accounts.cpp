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

void Accounts::load(std::vector<Key> keys, std::vector<DayTotal> totals, int64_t now) {
  Book book;
  book.accounts.reserve(keys.size());
  for (Key& key : keys) {
    if (!key.revoked) {
      book.by_prefix[key.prefix] = key.id;
      if (key.previous_until > now) book.by_prefix[key.previous_prefix] = key.id;
    }
    std::string id = key.id;
    book.accounts[std::move(id)].key = std::move(key);
  }
  for (DayTotal& total : totals) {
    if (const auto found = book.accounts.find(total.key_id); found != book.accounts.end())
      found->second.days.push_back(std::move(total));
  }
  const std::lock_guard lock(mutex_);
  std::swap(book_, book);
}  // the lock goes first, then what was before

const Accounts::Account* Accounts::find(const std::string& key_id) const {
  const auto found = book_.accounts.find(key_id);
  return found != book_.accounts.end() ? &found->second : nullptr;
}

const Accounts::Activity& Accounts::activity(const std::string& key_id) const {
  static const Activity kNone;
  const auto found = activities_.find(key_id);
  return found != activities_.end() ? found->second : kNone;
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
    const auto id = book_.by_prefix.find(prefix);
    const Account* account = id == book_.by_prefix.end() ? nullptr : find(id->second);
    if (account != nullptr) {
      const Key& key = account->key;
      const bool old = key.prefix != prefix;
      if (!old || key.previous_until > now) wanted = old ? key.previous_hash : key.hash;
      key_id = key.id;
    }
  }
  if (!equal_in_constant_time(hash, wanted)) return {};
  const std::lock_guard lock(mutex_);
  const Account* account = find(key_id);
  if (account == nullptr) return {};  // gone since
  const Key& key = account->key;
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
  const auto found = std::ranges::find(account.days, now / kDayMs, &DayTotal::day);
  return found != account.days.end() ? *found : DayTotal{};
}

Decision Accounts::judge_money(const Account& account, const Activity& activity, bool costs, int64_t now) {
  if (!costs) return {};
  const KeySettings& settings = account.key.settings;
  if (!settings.postpaid) {
    const Nanos balance = account.key.balance();
    if (balance - activity.sent.cost <= 0) return {Verdict::kBalance};
    if (balance - activity.claimed.cost <= 0) return {Verdict::kBalance, 0, kReservedRetrySeconds, true};
  }
  if (!settings.limits.monthly_spend) return {};
  const Nanos limit = *settings.limits.monthly_spend;
  const int64_t first = first_day_of_month(now / kDayMs);
  Nanos spent = 0;
  for (const DayTotal& total : account.days) spent += total.day >= first ? total.cost : 0;
  if (spent + activity.sent.cost >= limit) return {Verdict::kMonthlySpend, limit, seconds_to_next_month(now)};
  if (spent + activity.claimed.cost >= limit)
    return {Verdict::kMonthlySpend, limit, kReservedRetrySeconds, true};
  return {};
}

Decision Accounts::judge_tokens(const Account& account, const Activity& activity, int64_t prompt_tokens,
                                int64_t now) {
  const Limits& limits = account.key.settings.limits;
  if (limits.daily_tokens) {
    const int64_t limit = *limits.daily_tokens;
    const int64_t used = today(account, now).tokens + prompt_tokens;
    if (used + activity.sent.tokens > limit) return {Verdict::kDailyTokens, limit, seconds_to_next_day(now)};
    if (used + activity.claimed.tokens > limit)
      return {Verdict::kDailyTokens, limit, kReservedRetrySeconds, true};
  }
  if (limits.tokens_per_minute) {
    const int64_t limit = *limits.tokens_per_minute;
    const double wait = activity.minute.wait_for(prompt_tokens, limit, now);
    if (wait > 0) return {Verdict::kTokensPerMinute, limit, wait};
    if (activity.minute.wait_for(prompt_tokens + activity.claimed.unseen, limit, now) > 0)
      return {Verdict::kTokensPerMinute, limit, kReservedRetrySeconds, true};
  }
  return {};
}

Decision Accounts::enter(const std::string& key_id, Purpose purpose, bool costs, int64_t now) {
  constexpr int64_t kLeastPrompt = 1;
  const std::lock_guard lock(mutex_);
  const Account* account = find(key_id);
  if (account == nullptr || account->key.revoked) return {Verdict::kUnknownKey};
  Activity& activity = activities_[key_id];
  const Limits& limits = account->key.settings.limits;
  if (const double wait = activity.refused.wait_for(1, kMostRefusedTokens, now); wait > 0)
    return {Verdict::kRefusedTokens, kMostRefusedTokens, wait};
  Decision decision = judge_money(*account, activity, costs, now);
  if (decision.verdict != Verdict::kAdmitted) return decision;
  if (limits.concurrency && activity.running >= *limits.concurrency)
    return {Verdict::kConcurrency, *limits.concurrency, 1};
  if (purpose == Purpose::kGenerate) {
    decision = judge_tokens(*account, activity, kLeastPrompt, now);
  } else if (limits.tokens_per_minute) {
    const double wait = activity.tokenized.wait_for(kLeastPrompt, *limits.tokens_per_minute, now);
    if (wait > 0) decision = {Verdict::kTokensPerMinute, *limits.tokens_per_minute, wait};
  }
  if (decision.verdict == Verdict::kAdmitted) ++activity.running;
  return decision;
}

void Accounts::leave(const std::string& key_id) {
  const std::lock_guard lock(mutex_);
  --activities_[key_id].running;
}

Decision Accounts::allow(const std::string& key_id, std::string_view asked_model,
                         std::string_view served_model, bool costs, int64_t now) const {
  const std::lock_guard lock(mutex_);
  const Account* account = find(key_id);
  if (account == nullptr || account->key.revoked) return {Verdict::kUnknownKey};
  const KeySettings& settings = account->key.settings;
  if (!settings.models.empty() && !has_model(settings, asked_model) && !has_model(settings, served_model))
    return {Verdict::kModel};
  return judge_money(*account, activity(key_id), costs, now);
}

Decision Accounts::claim(const std::string& key_id, int64_t prompt_tokens, const Claim& most, int64_t now) {
  const std::lock_guard lock(mutex_);
  const Account* account = find(key_id);
  if (account == nullptr) return {Verdict::kUnknownKey};
  Activity& activity = activities_[key_id];
  Decision decision = judge_money(*account, activity, most.cost > 0, now);
  if (decision.verdict == Verdict::kAdmitted) decision = judge_tokens(*account, activity, prompt_tokens, now);
  if (decision.verdict == Verdict::kAdmitted) {
    add(activity.claimed, most);
    activity.minute.count(prompt_tokens, now);
  } else {
    activity.refused.count(prompt_tokens, now);
  }
  return decision;
}

void Accounts::count_refused(const std::string& key_id, int64_t prompt_tokens, int64_t now) {
  const std::lock_guard lock(mutex_);
  activities_[key_id].refused.count(prompt_tokens, now);
}

void Accounts::count_tokenized(const std::string& key_id, int64_t tokens, int64_t now) {
  const std::lock_guard lock(mutex_);
  activities_[key_id].tokenized.count(tokens, now);
}

void Accounts::change(const std::string& key_id, const Claim& sent, const Claim& claimed,
                      int64_t fresh_tokens, int64_t now) {
  const std::lock_guard lock(mutex_);
  Activity& activity = activities_[key_id];
  add(activity.sent, sent);
  add(activity.claimed, claimed);
  activity.minute.count(fresh_tokens, now);
}

void Accounts::settled(const UsageRecord& record) {
  const int64_t tokens = record.tokens.prompt + record.tokens.completion;
  const std::lock_guard lock(mutex_);
  Activity& activity = activities_[record.key_id];
  for (Claim* held : {&activity.sent, &activity.claimed}) add(*held, {-tokens, -record.cost, 0});
  const auto found = book_.accounts.find(record.key_id);
  if (found == book_.accounts.end()) return;
  Account& account = found->second;
  // As the database did it (store_usage.cpp).
  Key& key = account.key;
  const Nanos from_granted = std::clamp<Nanos>(record.cost, 0, std::max<Nanos>(key.granted, 0));
  key.granted -= from_granted;
  key.topped_up -= record.cost - from_granted;
  key.last_used = std::max(key.last_used, record.ended);
  const int64_t day = record.ended / kDayMs;
  auto total = std::ranges::find(account.days, day, &DayTotal::day);
  if (total == account.days.end()) total = account.days.insert(total, {record.key_id, day});
  ++total->requests;
  total->tokens += tokens;
  total->cost += record.cost;
}

std::optional<Standing> Accounts::standing(const std::string& key_id, int64_t now) const {
  const std::lock_guard lock(mutex_);
  const Account* account = find(key_id);
  if (account == nullptr) return {};
  const Activity& its = activity(key_id);
  Standing standing;
  const Nanos owed = its.sent.cost;
  const Nanos from_granted = std::clamp<Nanos>(owed, 0, std::max<Nanos>(account->key.granted, 0));
  standing.granted = account->key.granted - from_granted;
  standing.topped_up = account->key.topped_up - (owed - from_granted);
  standing.running = its.running;
  standing.today = today(*account, now);
  standing.today.tokens += its.sent.tokens;
  standing.today.cost += its.sent.cost;
  standing.can_spend = account->key.settings.postpaid || standing.granted + standing.topped_up > 0;
  return standing;
}

std::string Accounts::name_of(const std::string& key_id) const {
  const std::lock_guard lock(mutex_);
  const Account* account = find(key_id);
  return account == nullptr ? std::string() : account->key.settings.name;
}

void Place::leave() {
  if (left_.exchange(true)) return;
  if (const int64_t made = made_.exchange(0); made > 0) accounts_.count_refused(key_id_, made, unix_ms());
  accounts_.leave(key_id_);
}

}  // namespace hadal::ledger
