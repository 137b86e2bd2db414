// Ctrl-C as a flag, for commands that stop what they do instead of dying in the middle.
#pragma once

#include <csignal>

namespace hadal::cli {

// While it lives, SIGINT sets a flag; the earlier handler comes back with its end. One at a time.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  static bool interrupted();  // since the guard began, or since the last clear()
  static void clear();

 private:
  struct sigaction before_ {};
};

}  // namespace hadal::cli
