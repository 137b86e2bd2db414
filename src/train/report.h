// RUN/report.html: one page with the curves of a run, drawn from RUN/metrics.jsonl. Self-contained: no
// network, no other files; light and dark.
#pragma once

#include <string>
#include <vector>

#include "base/json.h"

namespace hadal::train {

// What a report draws, for runs that are not pre-training.
struct ReportLine {
  std::string key, name;  // of metrics.jsonl
};
struct ReportChart {
  std::string title;
  std::vector<ReportLine> lines;  // one or two
  bool from_zero = false;
};
struct ReportFigure {
  std::string label, key;  // the last value of a key of metrics.jsonl
  bool percent = false;
};
struct ReportLayout {
  std::vector<ReportFigure> figures;
  std::vector<ReportChart> charts;
};

// Reads RUN/metrics.jsonl, and RUN/recipe.toml, RUN/ledger.json, RUN/summary.json where they are. Throws
// Error{kIo}.
void write_report(const std::string& run);
void write_report(const std::string& run, const ReportLayout& layout);

// The page's data: series of at most `points` points each (means over equal ranges of steps). For tests.
base::Json report_data(const std::vector<base::Json>& metrics, int points);

}  // namespace hadal::train
