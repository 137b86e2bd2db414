#include "train/schedule.h"

#include <algorithm>
#include <cmath>

namespace hadal::train {
namespace {

constexpr double kPi = 3.14159265358979323846;

// Falls from 1 to 0 while t goes from 0 to 1.
double fall(DecayShape shape, double t) {
  t = std::clamp(t, 0.0, 1.0);
  switch (shape) {
    case DecayShape::kLinear:
      return 1.0 - t;
    case DecayShape::kCosine:
      return 0.5 * (1.0 + std::cos(kPi * t));
    case DecayShape::kOneMinusSqrt:
      return 1.0 - std::sqrt(t);
  }
  return 1.0 - t;
}

// Updates done before `step`, as a fraction of the run.
double progress(int64_t step, int64_t steps) {
  return steps > 0 ? static_cast<double>(step - 1) / static_cast<double>(steps) : 0.0;
}

}  // namespace

int64_t Schedule::decay_start() const {
  if (kind != ScheduleKind::kWsd) return steps + 1;
  const auto decay_steps = static_cast<int64_t>(std::llround(decay_fraction * static_cast<double>(steps)));
  return std::max(steps - decay_steps, warmup_steps) + 1;
}

double Schedule::lr(int64_t step) const {
  if (step <= warmup_steps) return peak_lr * static_cast<double>(step) / static_cast<double>(warmup_steps);
  int64_t from = warmup_steps;  // the last step at the peak
  DecayShape shape = DecayShape::kCosine;
  if (kind == ScheduleKind::kConstant) return peak_lr;
  if (kind == ScheduleKind::kWsd) {
    from = decay_start() - 1;
    shape = decay_shape;
  }
  if (step <= from || steps <= from) return peak_lr;
  const double t = static_cast<double>(step - from) / static_cast<double>(steps - from);
  return peak_lr * (final_lr_fraction + (1.0 - final_lr_fraction) * fall(shape, t));
}

double GammaSchedule::at(int64_t step, int64_t steps) const {
  const double t = progress(step, steps);
  if (t >= zero_from || start <= 0) return 0;
  if (end <= 0) return start * (1.0 - t / zero_from);
  return start * std::pow(end / start, t / zero_from);
}

double MtpSchedule::at(int64_t step, int64_t steps) const {
  return progress(step, steps) < late_from ? early : late;
}

}  // namespace hadal::train
