// Who asks, and whether they may: the keys of `hadal serve --keys`. Without a ledger the server is open:
// nobody is asked, nothing is counted.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ledger/ledger.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

// "Authorization: Bearer KEY", or "x-api-key: KEY" as Anthropic's clients say it; empty: none was sent.
std::string credentials_of(const http::Request& request);

// The caller of an endpoint that wants `access`; nothing on an open server or where anybody may call. Throws
// ApiError 401 for a missing or wrong key, 403 for one that is not an admin's, 404 for what needs a ledger
// where there is none.
std::optional<ledger::Caller> authenticate(const Service& service, const http::Request& request,
                                           Access access);

// The meter of a request for a model that is about to be generated; null on an open server. Throws ApiError
// 402, 403, 429 or 503 as the key's settings have it, with Retry-After where waiting helps.
std::shared_ptr<ledger::Meter> admit(const Call& call, const std::string& asked_model,
                                     const std::string& served_model, int64_t prompt_tokens);

}  // namespace hadal::serve::api
