// Progress of a long command on stderr: one bar that redraws on a terminal, one line a stage elsewhere.
#pragma once

#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <string>

#include "base/clock.h"

namespace hadal::train::corpus {

class Progress {
 public:
  Progress() : terminal_(::isatty(STDERR_FILENO) == 1) {}

  void begin(const std::string& stage) {
    stage_ = stage;
    started_ = base::monotonic_seconds();
    drawn_ = 0;
    if (terminal_) draw(0, 0);
  }

  void update(int64_t done, int64_t total) {
    const double now = base::monotonic_seconds();
    if (!terminal_ || now - drawn_ < 0.1) return;
    drawn_ = now;
    draw(done, total);
  }

  void end(const std::string& result) {
    if (terminal_) std::fprintf(stderr, "\r\x1b[K");
    std::fprintf(stderr, "%-28s %6.1f s  %s\n", stage_.c_str(), base::monotonic_seconds() - started_,
                 result.c_str());
  }

  void skip(const std::string& stage) { std::fprintf(stderr, "%-28s up to date\n", stage.c_str()); }

 private:
  void draw(int64_t done, int64_t total) const {
    constexpr int kWidth = 24;
    const int filled = total > 0 ? static_cast<int>(kWidth * done / total) : 0;
    std::fprintf(stderr, "\r\x1b[K%-28s [%.*s%*s]", stage_.c_str(), filled, "########################",
                 kWidth - filled, "");
    if (total > 0) std::fprintf(stderr, " %3d %%", static_cast<int>(100 * done / total));
    std::fflush(stderr);
  }

  bool terminal_;
  std::string stage_;
  double started_ = 0;
  double drawn_ = 0;
};

}  // namespace hadal::train::corpus
