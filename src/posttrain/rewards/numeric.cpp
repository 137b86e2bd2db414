// The reference answer's number, exactly (eval::parse_number), or within a relative tolerance.
#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "eval/verify/number.h"
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

double value_of(const eval::Rational& r) {
  return static_cast<double>(r.numerator()) / static_cast<double>(r.denominator());
}

class NumericReward : public Reward {
 public:
  explicit NumericReward(double tolerance) : tolerance_(tolerance) {}

  // Throws for a reference that is no number: this reward is the wrong one for the task.
  double score(const Completion& c) const override {
    const auto wanted = eval::parse_number(c.problem->answer);
    if (!wanted) {
      throw_error(ErrorCode::kBadInput, "[reward] numeric: the reference answer '{}' of {} is no number",
                  c.problem->answer, c.problem->task);
    }
    if (!c.parsed.answered) return 0;
    const auto said = eval::parse_number(c.parsed.answer);
    if (!said) return 0;
    if (*said == *wanted) return 1;
    const double a = value_of(*said);
    const double b = value_of(*wanted);
    return std::abs(a - b) <= tolerance_ * std::max(std::abs(a), std::abs(b)) ? 1 : 0;
  }

 private:
  double tolerance_;
};

}  // namespace

std::unique_ptr<Reward> make_numeric_reward(const base::Json& options) {
  OptionReader reader("numeric", options);
  const double tolerance = reader.number("tolerance", 0, 0, 0.5);
  reader.reject_unknown();
  return std::make_unique<NumericReward>(tolerance);
}

}  // namespace hadal::posttrain
