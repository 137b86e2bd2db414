// Time that only goes forward, for durations.
#pragma once

#include <chrono>

namespace hadal::base {

inline double monotonic_seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

}  // namespace hadal::base
