// The live line of a training run on stderr: rewritten in place on a terminal, a plain line now and then
// elsewhere.
#pragma once

#include <cstdint>
#include <string>

namespace hadal::train {

struct StepReport {
  int64_t step = 0;
  int64_t steps = 0;
  double loss = 0;
  double bpb = 0;         // of the training text, from the loss and the mean bytes per token; 0: not told
  double validation = 0;  // the run's figure of the last evaluation (bits per byte, nats); 0: none yet
  double tokens_per_s = 0;
  double mfu = 0;  // 0: unknown
  double seconds_left = 0;
};

std::string format_step(const StepReport& report);
std::string format_duration(double seconds);  // "1:02:03" or "2:03"

class ProgressLine {
 public:
  enum class Mode { kAuto, kPlain, kQuiet };
  explicit ProgressLine(Mode mode = Mode::kAuto);
  ~ProgressLine();

  void update(const StepReport& report);
  void finish();  // ends the line, so that other output starts on its own

 private:
  bool terminal_ = false;
  bool quiet_ = false;
  bool open_ = false;
  double last_ = 0;
};

}  // namespace hadal::train
