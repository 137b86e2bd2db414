// A control: nothing can be learnt from it, so whatever a run gains with it did not come from rewards.
#include "base/random.h"

#include "posttrain/rewards/options.h"
#include "posttrain/rewards/rewards.h"

namespace hadal::posttrain {
namespace {

class RandomReward : public Reward {
 public:
  RandomReward(double probability, uint64_t seed) : probability_(probability), seed_(seed) {}
  // By Completion::draw alone: the same text gets another reward each time it is sampled, and a resumed run
  // the same ones.
  double score(const Completion& c) const override {
    uint64_t state = seed_;
    state = base::splitmix64(state) ^ c.draw;
    return base::Random(state).uniform() < probability_ ? 1 : 0;
  }

 private:
  double probability_;
  uint64_t seed_;
};

}  // namespace

std::unique_ptr<Reward> make_random_reward(const base::Json& options) {
  OptionReader reader("random", options);
  const double probability = reader.number("probability", 0.5, 0, 1);
  const int64_t seed = reader.whole("seed", 0, 0, int64_t{1} << 53);
  reader.reject_unknown();
  return std::make_unique<RandomReward>(probability, static_cast<uint64_t>(seed));
}

}  // namespace hadal::posttrain
