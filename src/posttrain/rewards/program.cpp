// The tests of a program (facts.tests), run in the sandbox.
#include <mutex>

#include "base/error.h"
#include "eval/verify/program_tests.h"
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

constexpr double kSlackSeconds = 5;  // to start and end sandboxes on a busy machine

class ProgramReward : public Reward {
 public:
  ProgramReward(const eval::SandboxLimits& limits, bool partial) : sandbox_(limits), partial_(partial) {}

  bool immediate() const override { return false; }
  // All tests together, and the one that is begun just before that.
  double most_seconds() const override {
    return (eval::kAllTests + 1) * sandbox_.limits().seconds + kSlackSeconds;
  }

  // Throws for a problem without tests: this reward is the wrong one for the task.
  double score(const Completion& c) const override {
    const auto tests = eval::parse_program_tests(c.problem->facts);
    if (!tests)
      throw_error(ErrorCode::kBadInput, "[reward] program: a problem of {} has no tests", c.problem->task);
    if (!c.parsed.answered) return 0;
    const auto outcome = run_program_tests(sandbox_, *tests, eval::find_program(c.parsed.answer), partial_);
    {
      const std::lock_guard lock(mutex_);
      for (const auto& [what, count] : outcome.events) events_[what] += count;
    }
    if (!partial_) return outcome.passed == outcome.total ? 1 : 0;
    return static_cast<double>(outcome.passed) / static_cast<double>(outcome.total);
  }

  std::map<std::string, int64_t> events() const override {
    const std::lock_guard lock(mutex_);
    return events_;
  }

 private:
  eval::Sandbox sandbox_;
  bool partial_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, int64_t> events_;
};

}  // namespace

std::unique_ptr<Reward> make_program_reward(const base::Json& options) {
  constexpr int64_t kMiB = 1 << 20;
  OptionReader reader("program", options);
  eval::SandboxLimits limits;
  limits.seconds = reader.number("seconds", limits.seconds, 0.1, 600);
  limits.memory_bytes = reader.whole("memory_mib", limits.memory_bytes / kMiB, 32, 64 * 1024) * kMiB;
  limits.processes = static_cast<int>(reader.whole("processes", limits.processes, 2, 1024));
  const bool partial = reader.flag("partial", false);
  reader.reject_unknown();
  return std::make_unique<ProgramReward>(limits, partial);
}

}  // namespace hadal::posttrain
