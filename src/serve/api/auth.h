// Who asks, and whether they may: the keys of `hadal serve --keys`. Without a ledger the server is open:
// nobody is asked, nothing is counted.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "ledger/ledger.h"
#include "serve/api/model_names.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

// "Authorization: Bearer KEY", or "x-api-key: KEY" as Anthropic's clients say it; empty: none was sent.
std::string credentials_of(const http::Request& request);

// The caller of an endpoint that wants `access`; nothing on an open server or where anybody may call. Throws
// ApiError 401 for a missing or wrong key, 403 for one that is not an admin's, 404 for what needs a ledger
// where there is none.
std::optional<ledger::Caller> authenticate(const Service& service, const http::Request& request,
                                           Access access);

// What stands between a caller and the work that a request makes, in this order (docs/guide/keys.md). Each
// does nothing on an open server, and throws ApiError 401, 402, 403, 429 or 503 as the key's settings have
// it, with Retry-After where waiting helps.

// Before anything is made of the body: a place among the key's requests, held by Call::place.
std::shared_ptr<ledger::Place> enter(const Service& service, const std::optional<ledger::Caller>& caller,
                                     ledger::Purpose purpose);
// Once the model is known, before the prompt is made.
void check_model(const Call& call, const NamedModel& model);
// So many tokens were made of its prompt, or are about to be. If the request is refused before admit() or
// count_tokenized(), they count for the bound of refused tokens (ledger::kMostRefusedTokens).
void note_prompt(const Call& call, size_t tokens);
// Before a text of that many bytes is made into tokens, which may fail in its middle.
void note_prompt_text(const Call& call, size_t bytes);
// Once the prompt has been counted: the meter of what is about to be generated; null on an open server.
// `most_completion_tokens`: of all its answers.
std::shared_ptr<ledger::Meter> admit(const Call& call, const NamedModel& model, int64_t prompt_tokens,
                                     int64_t most_completion_tokens);
// Or, where nothing is generated: so many tokens were counted, and the answer is about to leave.
void count_tokenized(const Call& call, size_t tokens);

}  // namespace hadal::serve::api
