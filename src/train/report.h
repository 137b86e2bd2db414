// RUN/report.html: one page with the curves of a run, drawn from RUN/metrics.jsonl. Self-contained: no
// network, no other files; light and dark.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace hadal::train {

// Reads RUN/metrics.jsonl, and RUN/recipe.toml, RUN/ledger.json, RUN/summary.json where they are. Throws
// Error{kIo}.
void write_report(const std::string& run);

// The page's data: series of at most `points` points each (means over equal ranges of steps). For tests.
base::Json report_data(const std::vector<base::Json>& metrics, int points);

}  // namespace hadal::train
