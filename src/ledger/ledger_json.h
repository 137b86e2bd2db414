// Keys and usage as JSON: the same words from `hadal keys` and `hadal usage` as from /admin
// (docs/guide/operate-api.md).
#pragma once

#include <string>

#include "base/json.h"
#include "ledger/records.h"

namespace hadal::ledger {

// Never the hash of its secret. The balance is the key's own, as the store has it.
base::Json key_json(const Key& key, const std::string& currency);

// Without its times and the key's name.
base::Json record_json(const UsageRecord& record);

// The sums alone, without what they are grouped by.
base::Json sums_json(const UsageRow& row);

}  // namespace hadal::ledger
