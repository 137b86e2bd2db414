// What POST /admin/keys and below ask for (docs/guide/operate-api.md). Throws ApiError for what is no such
// request.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "ledger/records.h"

namespace hadal::serve::api {

struct NewKeyRequest {
  ledger::KeySettings settings;
  bool admin = false;
  ledger::Nanos credit = 0;
};

NewKeyRequest read_new_key(const base::Json& body);

// Members that are there take their setting's place; null takes a limit away. Whether the values are in range
// is the store's to say (ledger::check_settings).
void read_key_settings(const base::Json& body, ledger::KeySettings& settings);

int64_t read_grace_seconds(const base::Json& body);

struct CreditRequest {
  ledger::Nanos amount = 0;
  bool granted = false;
  std::string once;  // what makes a credit that is asked for again the same one; empty: nothing does
};

// `idempotency_key`: the header's value, before the member of that name; null: there is none.
CreditRequest read_credit(const base::Json& body, const std::string* idempotency_key);

}  // namespace hadal::serve::api
