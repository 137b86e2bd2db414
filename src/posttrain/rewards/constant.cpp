// A control: every completion is as good as every other.
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

class ConstantReward : public Reward {
 public:
  explicit ConstantReward(double value) : value_(value) {}
  double score(const Completion&) const override { return value_; }

 private:
  double value_;
};

}  // namespace

std::unique_ptr<Reward> make_constant_reward(const base::Json& options) {
  OptionReader reader("constant", options);
  const double value = reader.number("value", 1, 0, 1);
  reader.reject_unknown();
  return std::make_unique<ConstantReward>(value);
}

}  // namespace hadal::posttrain
