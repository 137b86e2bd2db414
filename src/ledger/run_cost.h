// What a training run cost, in RUN/ledger.json: one entry per session (start to stop, kill or end) with wall
// seconds, steps, tokens and FLOPs, and the steps that were wasted because a kill came after the last
// checkpoint.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"

namespace hadal::ledger {

class RunCost {
 public:
  // Reads `path` when it is there, and begins a new session at `step`. A session of before that never said
  // how it ended was killed: its figures are those of its last write(), and the `wasted_steps` after that,
  // which have to be done again, are counted apart. A damaged file is started anew.
  RunCost(const std::string& path, const std::string& stage, int64_t step, int64_t wasted_steps);

  // Adds one step. `flops` counts the arithmetic of the model's matrix products.
  void add_step(int64_t tokens, double flops, double seconds);
  void add_overhead(double seconds) { overhead_seconds_ += seconds; }  // evaluation, checkpoints, reports

  // Writes the file; `ended` is "running", "stopped", "finished" or "failed".
  void write(const std::string& ended);

  const base::Json& json() const { return document_; }

 private:
  std::string path_;
  base::Json document_;
  double began_;
  int64_t steps_ = 0;
  int64_t tokens_ = 0;
  double flops_ = 0;
  double step_seconds_ = 0;
  double overhead_seconds_ = 0;
};

}  // namespace hadal::ledger
