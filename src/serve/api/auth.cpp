#include "serve/api/auth.h"

#include <fmt/format.h>

#include <algorithm>
#include <cmath>

#include "base/ascii.h"
#include "serve/api/api_error.h"

namespace hadal::serve::api {

using ledger::Verdict;

namespace {

constexpr size_t kShownBytes = 4;
constexpr size_t kBytesOfToken = 4;      // of usual text
constexpr size_t kMostModelBytes = 128;  // of a name that a client made up, in messages

ApiError not_authenticated(const std::string& message) {
  return ApiError(401, "invalid_request_error", message).with_header("WWW-Authenticate", "Bearer");
}

// As DeepSeek shows it: the last four characters only.
std::string masked(const std::string& secret) {
  return secret.size() < 2 * kShownBytes ? "****" : "****" + secret.substr(secret.size() - kShownBytes);
}

ApiError too_many(const std::string& code, const std::string& message, double seconds) {
  const auto wait = static_cast<int64_t>(std::max(1.0, std::ceil(seconds)));
  return ApiError(429, code, message).with_header("Retry-After", fmt::format("{}", wait));
}

// "; this request's prompt has 12", or what else stands behind a limit's name.
std::string reason_text(const ledger::Decision& decision, int64_t prompt_tokens) {
  if (decision.reserved) {
    return "; what is left is reserved for its requests under way: wait for one to end, or ask for fewer "
           "max_tokens";
  }
  return prompt_tokens > 0 ? fmt::format("; this request's prompt has {}", prompt_tokens) : std::string();
}

// `prompt_tokens` 0: not counted yet.
ApiError refusal(const ledger::Decision& decision, const std::string& model, const std::string& currency,
                 int64_t prompt_tokens = 0) {
  const int64_t limit = decision.limit;
  const std::string reason = reason_text(decision, prompt_tokens);
  switch (decision.verdict) {
    case Verdict::kModel:
      return {403, "model_not_allowed",
              fmt::format("This API key may not use the model \"{}\"", model.substr(0, kMostModelBytes)),
              "model"};
    case Verdict::kBalance:
      if (decision.reserved)
        return too_many("balance_reserved", "Balance reached" + reason, decision.retry_seconds);
      return {402, "invalid_request_error", "Insufficient Balance"};
    case Verdict::kConcurrency:
      return too_many(
          "concurrency_limit",
          fmt::format("Rate limit reached: this API key has {} requests under way, the most that it may "
                      "have; wait for one to end",
                      limit),
          decision.retry_seconds);
    case Verdict::kTokensPerMinute:
      return too_many(
          "rate_limit_exceeded",
          fmt::format("Rate limit reached: {} tokens per minute for this API key{}", limit, reason),
          decision.retry_seconds);
    case Verdict::kDailyTokens:
      return too_many(
          "daily_tokens_limit",
          fmt::format("Rate limit reached: {} tokens per day (UTC) for this API key{}", limit, reason),
          decision.retry_seconds);
    case Verdict::kMonthlySpend:
      return too_many(
          "insufficient_quota",
          fmt::format("Spending limit reached: {} {} per month (UTC) for this API key{}",
                      ledger::money_text(limit), currency, decision.reserved ? reason : std::string()),
          decision.retry_seconds);
    case Verdict::kRefusedTokens:
      return too_many("rate_limit_exceeded",
                      fmt::format("Rate limit reached: prompts of {} tokens of this API key were refused "
                                  "in the last minute; wait as long as Retry-After says",
                                  limit),
                      decision.retry_seconds);
    case Verdict::kBusy:
      return {503, "server_overloaded", "too many requests are under way; try again later"};
    case Verdict::kUnknownKey:
    case Verdict::kAdmitted:
      break;
  }
  return not_authenticated("Authentication Fails, Your api key is no longer valid");
}

}  // namespace

std::string credentials_of(const http::Request& request) {
  constexpr std::string_view kScheme = "bearer ";
  if (const std::string* given = request.header("authorization")) {
    std::string_view text = *given;
    if (text.size() >= kScheme.size() &&
        base::lower(std::string(text.substr(0, kScheme.size()))) == kScheme) {
      text.remove_prefix(kScheme.size());
    }
    while (text.starts_with(' ')) text.remove_prefix(1);
    while (text.ends_with(' ')) text.remove_suffix(1);
    if (!text.empty()) return std::string(text);
  }
  const std::string* key = request.header("x-api-key");
  return key != nullptr ? *key : std::string();
}

std::optional<ledger::Caller> authenticate(const Service& service, const http::Request& request,
                                           Access access) {
  if (access == Access::kOpen) return {};
  if (service.ledger == nullptr) {
    if (access != Access::kAdmin && access != Access::kOwner) return {};
    throw ApiError(404, "no_ledger", "this server has no keys: start it with --keys FILE");
  }
  const std::string secret = credentials_of(request);
  if (secret.empty()) {
    throw not_authenticated(
        "Authentication Fails, no api key was sent: send \"Authorization: Bearer sk-...\"");
  }
  auto caller = service.ledger->authenticate(secret);
  if (!caller) {
    throw not_authenticated(fmt::format("Authentication Fails, Your api key: {} is invalid", masked(secret)));
  }
  if ((access == Access::kAdmin || access == Access::kAdminIfKeys) && !caller->admin) {
    throw ApiError(403, "admin_only", "this wants an admin's key: hadal keys create --admin");
  }
  return caller;
}

std::shared_ptr<ledger::Place> enter(const Service& service, const std::optional<ledger::Caller>& caller,
                                     ledger::Purpose purpose) {
  if (!caller) return nullptr;
  std::vector<std::string> models;
  for (const ServedModel& model : service.models) models.push_back(model.id);
  ledger::Entry entry = service.ledger->enter(*caller, purpose, models);
  if (!entry.place) throw refusal(entry.decision, {}, service.ledger->currency());
  return std::move(entry.place);
}

void check_model(const Call& call, const NamedModel& model) {
  if (!call.caller) return;
  const ledger::Ledger& ledger = *call.service.ledger;
  const ledger::Decision decision = ledger.allow(*call.caller, model.billed, model.served.id);
  if (decision.verdict != Verdict::kAdmitted) throw refusal(decision, model.billed, ledger.currency());
}

void note_prompt(const Call& call, size_t tokens) {
  if (call.place) call.place->made(static_cast<int64_t>(tokens));
}

void note_prompt_text(const Call& call, size_t bytes) { note_prompt(call, bytes / kBytesOfToken); }

std::shared_ptr<ledger::Meter> admit(const Call& call, const NamedModel& model, int64_t prompt_tokens,
                                     int64_t most_completion_tokens) {
  if (!call.caller) return nullptr;
  ledger::Ledger& ledger = *call.service.ledger;
  ledger::Admission admission =
      ledger.admit(*call.caller, call.place,
                   {call.request_id, model.billed, model.served.id, std::string(call.endpoint), prompt_tokens,
                    most_completion_tokens});
  if (!admission.meter) throw refusal(admission.decision, model.billed, ledger.currency(), prompt_tokens);
  return std::move(admission.meter);
}

void count_tokenized(const Call& call, size_t tokens) {
  if (!call.caller) return;
  call.service.ledger->count_tokenized(*call.caller, static_cast<int64_t>(tokens));
  call.place->counted();
  call.place->leave();  // whoever has the answer may ask for more at once
}

}  // namespace hadal::serve::api
