// What the commands about keys and usage share: the database's flag, times, and a key on a page.
#pragma once

#include <CLI/CLI.hpp>
#include <cstdint>
#include <string>

#include "base/json.h"
#include "ledger/records.h"
#include "ledger/store.h"

namespace hadal::cli {

// --keys DB, or HADAL_KEYS (which keeps a password out of the list of processes).
CLI::Option* add_keys_option(CLI::App& command, std::string& database);
// The database; throws Error{kBadInput} when none was given.
std::unique_ptr<ledger::Store> open_store(const std::string& database);
// Its currency's name, or "USD" where none is known yet.
std::string currency_of(ledger::Store& store);

// "2026-11-22", "2026-11-22T14:30" or "...:05" (UTC), or an age such as 90m, 12h or 7d. Unix ms. Throws
// Error{kBadInput}.
int64_t parse_time(const std::string& text, const std::string& what);
std::string time_text(int64_t unix_ms);  // "2026-11-22 14:30:05", UTC
std::string day_text(int64_t unix_ms);   // "2026-11-22"

}  // namespace hadal::cli
