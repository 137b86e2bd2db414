// Ctrl-C and SIGTERM as a polite request: the trainer saves and leaves at the end of the step. A second
// signal leaves at once (the last checkpoint is what remains).
#pragma once

namespace hadal::train {

// Installs handlers for SIGINT and SIGTERM, and puts the old ones back at the end of its life. One thread's;
// one within another's life shares its state: a signal that nobody answered yet is seen by the next.
class StopSignal {
 public:
  StopSignal();
  ~StopSignal();
  StopSignal(const StopSignal&) = delete;
  StopSignal& operator=(const StopSignal&) = delete;

  int received() const;  // the signal's number, or 0

 private:
  struct Saved;
  Saved* saved_;
};

}  // namespace hadal::train
