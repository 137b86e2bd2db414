// Logging goes to stderr, one line per event: standard output belongs to results.
#pragma once

#include <spdlog/spdlog.h>

#include <string>

namespace hadal::base {

// level: trace, debug, info, warn, error or off.
void set_up_logging(const std::string& level);

}  // namespace hadal::base
