// The form that the prompt asks for (ParsedCompletion::well_formed).
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

class FormatReward : public Reward {
 public:
  explicit FormatReward(double partial) : partial_(partial) {}
  double score(const Completion& c) const override {
    if (c.parsed.well_formed) return 1;
    return c.parsed.answered ? partial_ : 0;
  }

 private:
  double partial_;
};

}  // namespace

std::unique_ptr<Reward> make_format_reward(const base::Json& options) {
  OptionReader reader("format", options);
  const double partial = reader.number("partial", 0, 0, 1);
  reader.reject_unknown();
  return std::make_unique<FormatReward>(partial);
}

}  // namespace hadal::posttrain
