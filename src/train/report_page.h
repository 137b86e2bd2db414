// The page of report.h around its data.
#pragma once

#include <string_view>

namespace hadal::train {

// HTML in which __TITLE__ and __DATA__ (a JSON object; see report_data) are to be replaced.
extern const std::string_view kReportPage;

}  // namespace hadal::train
