// A progress bar for the commands that write large files, which Ctrl-C ends cleanly.
#pragma once

#include <string>

#include "cli/interrupt.h"
#include "model/export/export_file.h"

namespace hadal::cli {

// While it lives, Ctrl-C makes the callback throw Error{kCancelled}: writers then remove what they began. The
// bar is drawn on a terminal only.
class ExportProgressBar {
 public:
  explicit ExportProgressBar(std::string what);
  ~ExportProgressBar();
  model::ExportProgress callback();

 private:
  void show(int64_t done, int64_t total);

  InterruptGuard guard_;
  std::string what_;
  bool terminal_;
  bool shown_ = false;
  double start_;
  double next_ = 0;
};

}  // namespace hadal::cli
