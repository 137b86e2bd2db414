#include "train/stop_signal.h"

#include <signal.h>
#include <unistd.h>

namespace hadal::train {
namespace {

volatile sig_atomic_t g_received = 0;
int g_alive = 0;

void on_signal(int number) {
  if (g_received != 0) _exit(128 + number);
  g_received = number;
}

}  // namespace

struct StopSignal::Saved {
  struct sigaction interrupt, terminate;
};

StopSignal::StopSignal() : saved_(new Saved) {
  if (g_alive++ > 0) return;
  g_received = 0;
  struct sigaction action {};
  action.sa_handler = on_signal;
  sigemptyset(&action.sa_mask);
  action.sa_flags = SA_RESTART;  // file writes go on; the trainer asks between steps
  sigaction(SIGINT, &action, &saved_->interrupt);
  sigaction(SIGTERM, &action, &saved_->terminate);
}

StopSignal::~StopSignal() {
  if (--g_alive == 0) {
    sigaction(SIGINT, &saved_->interrupt, nullptr);
    sigaction(SIGTERM, &saved_->terminate, nullptr);
  }
  delete saved_;
}

int StopSignal::received() const { return g_received; }

}  // namespace hadal::train
