// The operators' interface (docs/guide/operate-api.md), below /admin/. Answers that need the database are
// made on the ledger's thread.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "ledger/ledger.h"
#include "serve/api/service.h"

namespace hadal::serve::api {

// Answers with what `work` returns, from the ledger's thread; an ApiError or Error that it throws is the
// answer, 503 where the database fails. `call` need not outlive this.
void answer_from_store(const Call& call, int status, std::function<base::Json(ledger::Store&)> work);

// A value of the query ("a=1&b=2"), percent-decoded; empty when it is not there.
std::string query_value(const std::string& query, std::string_view name);
// 400 unless it is a number from low to high; `fallback` when it is not there.
int64_t query_number(const std::string& query, const char* name, int64_t fallback, int64_t low, int64_t high);

// The parts of the path behind /admin/: {"keys", "key_x", "rotate"}.
std::vector<std::string> admin_path(const std::string& path);

void admin_get_keys(const Call& call, const std::vector<std::string>& path);  // admin_keys.cpp
void admin_post_keys(const Call& call, const std::vector<std::string>& path);
void admin_usage(const Call& call);  // admin_usage.cpp
void admin_requests(const Call& call);
void admin_feedback(const Call& call);

base::Json key_json(const ledger::Ledger& ledger, const ledger::Key& key);

}  // namespace hadal::serve::api
