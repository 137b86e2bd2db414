#include "train/progress.h"

#include <fmt/format.h>
#include <unistd.h>

#include <cmath>
#include <cstdio>

#include "base/clock.h"

namespace hadal::train {
namespace {

constexpr double kTerminalSeconds = 0.1;
constexpr double kPlainSeconds = 10;

}  // namespace

std::string format_duration(double seconds) {
  const auto whole = static_cast<int64_t>(std::llround(std::fmax(0.0, seconds)));
  const int64_t hours = whole / 3600;
  const int64_t minutes = whole / 60 % 60;
  return hours > 0 ? fmt::format("{}:{:02}:{:02}", hours, minutes, whole % 60)
                   : fmt::format("{}:{:02}", minutes, whole % 60);
}

std::string format_step(const StepReport& r) {
  std::string line = fmt::format("step {}/{}  loss {:.4f}", r.step, r.steps, r.loss);
  if (r.bpb > 0) line += fmt::format("  bpb {:.3f}", r.bpb);
  if (r.validation > 0) line += fmt::format("  val {:.3f}", r.validation);
  line += fmt::format("  {:.0f} tok/s", r.tokens_per_s);
  if (r.mfu > 0) line += fmt::format("  MFU {:.0f}%", 100 * r.mfu);
  return line + "  ETA " + format_duration(r.seconds_left);
}

ProgressLine::ProgressLine(Mode mode)
    : terminal_(mode == Mode::kAuto && ::isatty(STDERR_FILENO) != 0), quiet_(mode == Mode::kQuiet) {}

ProgressLine::~ProgressLine() { finish(); }

void ProgressLine::update(const StepReport& report) {
  if (quiet_) return;
  const double now = base::monotonic_seconds();
  const bool last_step = report.step == report.steps;
  if (!last_step && last_ > 0 && now - last_ < (terminal_ ? kTerminalSeconds : kPlainSeconds)) return;
  last_ = now;
  std::fprintf(stderr, terminal_ ? "\r\033[K%s" : "%s\n", format_step(report).c_str());
  std::fflush(stderr);
  open_ = terminal_;
}

void ProgressLine::finish() {
  if (open_) std::fputc('\n', stderr);
  open_ = false;
}

}  // namespace hadal::train
