#include "cli/export_progress.h"

#include <unistd.h>

#include <cstdio>

#include "base/clock.h"
#include "base/error.h"

namespace hadal::cli {

ExportProgressBar::ExportProgressBar(std::string what)
    : what_(std::move(what)), terminal_(::isatty(STDERR_FILENO) == 1), start_(base::monotonic_seconds()) {}

ExportProgressBar::~ExportProgressBar() {
  if (shown_) std::fputs("\r\033[K", stderr);
}

model::ExportProgress ExportProgressBar::callback() {
  return [this](int64_t done, int64_t total) { show(done, total); };
}

void ExportProgressBar::show(int64_t done, int64_t total) {
  if (InterruptGuard::interrupted()) {
    throw_error(ErrorCode::kCancelled, "{}: stopped; nothing is left of the file", what_);
  }
  const double now = base::monotonic_seconds();
  if (!terminal_ || now < next_) return;
  next_ = now + 0.1;
  constexpr int kWidth = 40;
  const double part = total > 0 ? static_cast<double>(done) / static_cast<double>(total) : 1;
  const int filled = static_cast<int>(part * kWidth);
  const double seconds = now - start_;
  std::fprintf(stderr, "\r\033[K%s [%.*s%*s] %3.0f %%  %.2f of %.2f GiB  %.0f s left", what_.c_str(), filled,
               "########################################", kWidth - filled, "", 100 * part,
               static_cast<double>(done) / 0x1p30, static_cast<double>(total) / 0x1p30,
               part > 0 ? seconds / part - seconds : 0.0);
  shown_ = true;
}

}  // namespace hadal::cli
