// Bodies of POST /admin/keys and below: whatever the bytes, the answer is settings that the store takes or
// refuses in one line, or an ApiError that can be sent.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>

#include "base/error.h"
#include "base/json.h"
#include "ledger/store.h"
#include "serve/api/api_error.h"
#include "serve/api/fields.h"
#include "serve/api/key_request.h"

namespace {

using namespace hadal;
using namespace hadal::serve::api;

void check(bool condition) {
  if (!condition) std::abort();
}

template <typename Read>
void read(const std::string& body, Read&& use) {
  try {
    use(parse_body(body));
  } catch (const ApiError& e) {
    check(e.status() == 400 || e.status() == 422);
    check(!error_response(e).body.empty());
  } catch (const Error& e) {  // the store's word on what is out of range
    check(e.code() == ErrorCode::kBadInput);
  }
}

void check_bounds(const ledger::KeySettings& settings) {
  ledger::check_settings(settings);
  check(!settings.name.empty() && settings.name.size() <= ledger::kMostNameBytes);
  check(settings.models.size() <= ledger::kMostModels);
  const auto& limits = settings.limits;
  for (const auto& limit : {limits.concurrency, limits.tokens_per_minute, limits.daily_tokens}) {
    check(!limit || *limit >= 1);
  }
  check(!limits.monthly_spend || *limits.monthly_spend >= 0);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string body(reinterpret_cast<const char*>(data), size);
  read(body, [](const base::Json& json) { check_bounds(read_new_key(json).settings); });
  read(body, [](const base::Json& json) {
    ledger::KeySettings settings;
    settings.name = "as it was";
    settings.limits = {4, 60'000, 1'000'000, 5};
    read_key_settings(json, settings);
    check_bounds(settings);
  });
  read(body, [](const base::Json& json) { check(read_grace_seconds(json) >= 0); });
  read(body, [&](const base::Json& json) {
    const CreditRequest credit = read_credit(json, nullptr);
    check(ledger::parse_money(ledger::money_text(credit.amount), "amount") == credit.amount);
    check(read_credit(json, &body).once == body);
  });
  return 0;
}
