#include "cli/interrupt.h"

namespace hadal::cli {

namespace {
volatile std::sig_atomic_t interrupt_flag = 0;
void on_interrupt(int) { interrupt_flag = 1; }
}  // namespace

InterruptGuard::InterruptGuard() {
  clear();
  struct sigaction action {};
  action.sa_handler = on_interrupt;  // no SA_RESTART: a blocked read returns
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before_);
}

InterruptGuard::~InterruptGuard() { sigaction(SIGINT, &before_, nullptr); }

bool InterruptGuard::interrupted() { return interrupt_flag != 0; }
void InterruptGuard::clear() { interrupt_flag = 0; }

}  // namespace hadal::cli
