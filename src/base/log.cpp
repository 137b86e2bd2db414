#include "base/log.h"

#include <spdlog/sinks/stdout_color_sinks.h>

#include "base/error.h"

namespace hadal::base {

void set_up_logging(const std::string& level) {
  const auto parsed = spdlog::level::from_str(level);
  if (parsed == spdlog::level::off && level != "off") {
    throw_error(ErrorCode::kBadInput, "--log-level {}: expected trace, debug, info, warn, error or off",
                level);
  }
  static auto logger = spdlog::stderr_color_mt("hadal");
  spdlog::set_default_logger(logger);
  spdlog::set_pattern("%Y-%m-%d %H:%M:%S.%e %^%l%$ %v");
  spdlog::set_level(parsed);
}

}  // namespace hadal::base
