// RUN/metrics.jsonl: one JSON object per optimizer step, appended and flushed as the step ends.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"

namespace hadal::train {

class MetricsLog {
 public:
  // Opens `path` to go on after `step`: keeps the whole lines of steps 0..step and drops everything after
  // (steps that were lost with a kill, a half-written last line). Throws Error{kIo}.
  MetricsLog(const std::string& path, int64_t step);
  ~MetricsLog();
  MetricsLog(const MetricsLog&) = delete;
  MetricsLog& operator=(const MetricsLog&) = delete;

  int64_t dropped_steps() const { return dropped_; }  // lines removed by the constructor

  void append(const base::Json& line);
  void sync();  // to the disk, before a checkpoint that relies on these lines

 private:
  std::string path_;
  int fd_ = -1;
  int64_t dropped_ = 0;
};

// Every whole line, in order; a damaged last line is left out. Throws Error{kIo} when the file cannot be
// read.
std::vector<base::Json> read_metrics(const std::string& path);

}  // namespace hadal::train
