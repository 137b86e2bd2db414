// A weighted sum of rewards over a batch of completions, which outlives every one of them being wrong: a
// reward that throws, does not come back in time, or returns what is no number in [0, 1] counts zero for that
// completion, is logged once and counted.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "posttrain/rewards/reward.h"

namespace hadal::posttrain {

struct RewardPart {
  std::string name;
  double weight = 1;
  base::Json options = base::Json::object();
};

// "correct=1,format=0.2" or "correct,length{\"most\":200}=0.5": names, each with options as a JSON object
// and a weight if it has any. Throws Error{kBadInput}.
std::vector<RewardPart> parse_reward_parts(std::string_view text);

struct RewardLimits {
  double seconds = 30;  // for one call of a reward that is not immediate; more where it may take more
  int threads = 4;      // of such calls at a time
  int max_hung = 8;     // while so many calls have not come back, a reward is not called any more
};

enum class RewardFailure { kThrew, kHung, kNoNumber };  // kNoNumber: NaN, or outside [0, 1]
inline constexpr size_t kRewardFailures = 3;

struct RewardValue {
  double total = 0;           // sum of weight * part
  std::vector<double> parts;  // [parts]; 0 where it failed
  int failed = 0;             // parts that did
};

struct RewardPartReport {
  std::string name;
  int64_t calls = 0;
  std::array<int64_t, kRewardFailures> failures{};
  std::map<std::string, int64_t> events;  // Reward::events
};

class RewardSum {
 public:
  // Throws what make_reward throws, and Error{kBadInput} without parts.
  explicit RewardSum(const std::vector<RewardPart>& parts, const RewardLimits& limits = {});
  // With rewards of the caller's own.
  RewardSum(std::vector<RewardPart> parts, std::vector<std::shared_ptr<const Reward>> rewards,
            const RewardLimits& limits = {});
  ~RewardSum();  // a call that hangs is left to itself
  RewardSum(const RewardSum&) = delete;
  RewardSum& operator=(const RewardSum&) = delete;

  const std::vector<RewardPart>& parts() const { return parts_; }

  // In the order of `completions`. One caller at a time. Throws nothing of the rewards'.
  std::vector<RewardValue> score(std::span<const Completion> completions);

  std::vector<RewardPartReport> report() const;

 private:
  struct Waiting;
  struct Outcome;
  static Outcome call(const Reward& reward, const Completion& completion);
  void settle(size_t part, const Outcome& outcome, RewardValue* value);
  void score_waiting(size_t part, std::span<const Completion> completions, std::vector<RewardValue>* values);

  std::vector<RewardPart> parts_;
  std::vector<std::shared_ptr<const Reward>> rewards_;  // [parts]
  RewardLimits limits_;
  std::vector<RewardPartReport> reports_;                   // [parts]
  std::vector<std::array<bool, kRewardFailures>> logged_;   // [parts]
  std::vector<std::shared_ptr<std::atomic<int>>> hanging_;  // [parts]: calls given up that still go on
};

}  // namespace hadal::posttrain
