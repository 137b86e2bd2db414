// The task's verifier: every right answer counts, not the reference's alone (countdown has many).
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

class CorrectReward : public Reward {
 public:
  double score(const Completion& c) const override {
    return c.parsed.answered && eval::is_correct(*c.problem, c.parsed.answer) ? 1 : 0;
  }
};

}  // namespace

std::unique_ptr<Reward> make_correct_reward(const base::Json& options) {
  OptionReader("correct", options).reject_unknown();
  return std::make_unique<CorrectReward>();
}

}  // namespace hadal::posttrain
