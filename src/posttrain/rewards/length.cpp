// Against answers that never end: the soft limit of DAPO (arXiv 2503.14476, equation 13), moved to [0, 1].
#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

class LengthReward : public Reward {
 public:
  LengthReward(int64_t from, int64_t to) : from_(from), to_(to) {}
  double score(const Completion& c) const override {
    if (!c.finished || c.tokens >= to_) return 0;
    if (c.tokens <= from_) return 1;
    return static_cast<double>(to_ - c.tokens) / static_cast<double>(to_ - from_);
  }

 private:
  int64_t from_;
  int64_t to_;
};

}  // namespace

std::unique_ptr<Reward> make_length_reward(const base::Json& options) {
  constexpr int64_t kMost = 1 << 24;
  OptionReader reader("length", options);
  const int64_t to = reader.whole("to", 1024, 1, kMost);
  const int64_t from = reader.whole("from", to / 2, 0, kMost);
  if (from >= to) reader.fail("from", "it must be below `to`");
  reader.reject_unknown();
  return std::make_unique<LengthReward>(from, to);
}

}  // namespace hadal::posttrain
