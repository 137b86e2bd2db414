// The reference answer's text, by eval::normalised.
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

class ExactReward : public Reward {
 public:
  double score(const Completion& c) const override {
    return c.parsed.answered && eval::normalised(c.parsed.answer) == eval::normalised(c.problem->answer) ? 1
                                                                                                         : 0;
  }
};

}  // namespace

std::unique_ptr<Reward> make_exact_reward(const base::Json& options) {
  OptionReader("exact", options).reject_unknown();
  return std::make_unique<ExactReward>();
}

}  // namespace hadal::posttrain
