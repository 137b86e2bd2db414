// Everything that changes with the step: learning rate, the balancing speed gamma, the weight of the MTP
// loss. Pure functions of the recipe and the step, so that a resumed run needs no state for them.
#pragma once

#include <cstdint>

namespace hadal::train {

enum class ScheduleKind { kConstant, kCosine, kWsd };
enum class DecayShape { kLinear, kCosine, kOneMinusSqrt };

struct Schedule {
  ScheduleKind kind = ScheduleKind::kWsd;
  DecayShape decay_shape =
      DecayShape::kCosine;  // of the last part of WSD; DeepSeek-V3 section 4.2 decays by cosine
  double peak_lr = 1e-3;
  double final_lr_fraction = 0.1;  // of peak_lr, reached at the last step
  int64_t warmup_steps = 0;        // linear from peak_lr / warmup_steps
  double decay_fraction = 0.3;     // WSD: the last part of the run
  int64_t steps = 0;               // of the whole run

  // lr of update `step`, 1 <= step <= steps.
  double lr(int64_t step) const;
  // The first update of WSD's decay; steps + 1 for the other kinds.
  int64_t decay_start() const;
};

// gamma of the auxiliary-loss-free bias update: falls from `start` to `end` geometrically, then 0 from
// zero_from on, so that the last steps train with fixed biases (DeepSeek-V3 section 4.2: 0 for the last 500B
// of 14.8T tokens). Short runs need a larger start than V3's 1e-3, since a bias moves by at most gamma a
// step.
struct GammaSchedule {
  double start = 0.01;
  double end = 0.001;
  double zero_from = 0.97;  // fraction of the run
  double at(int64_t step, int64_t steps) const;
};

// lambda of the MTP loss (V3 section 4.2: 0.3, then 0.1 for the last third).
struct MtpSchedule {
  double early = 0.3;
  double late = 0.1;
  double late_from = 0.67;  // fraction of the run
  double at(int64_t step, int64_t steps) const;
};

}  // namespace hadal::train
