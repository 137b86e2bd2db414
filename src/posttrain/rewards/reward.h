// Rewards: numbers that say how good a completion is. A reward is one file in this folder and one row in
// registry.cpp (docs/howto/new-reward.md); RewardSum (reward_sum.h) is how runs use them.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>

#include "base/json.h"
#include "eval/tasks/task.h"
#include "eval/verify/answer_text.h"

namespace hadal::posttrain {

// What a reward sees. Views and pointers are the caller's, valid during the call.
struct Completion {
  const eval::Problem* problem = nullptr;
  std::string_view text;          // all of it
  eval::ParsedCompletion parsed;  // of `text`, by the run's prompt template
  int64_t tokens = 0;             // sampled
  bool finished = true;           // ended by itself, not at the length
  uint64_t draw = 0;              // another for every completion of a run; the same when the run is repeated
};

class Reward {
 public:
  virtual ~Reward() = default;

  // [0, 1], larger is better. Any thread, several at once. May throw; the caller counts that as a failure.
  virtual double score(const Completion& completion) const = 0;

  // False for a reward that waits for something (a server, a program): it is called on other threads, several
  // at once, under a time limit, with copies of what it sees. True: it takes microseconds, and no limit
  // protects from it.
  virtual bool immediate() const { return true; }

  // The longest that a call of a reward that waits may take by its own options, and a little more; 0: the
  // caller's limit is as good as any.
  virtual double most_seconds() const { return 0; }

  // What happened in calls so far, for reports: {"time limit": 3}.
  virtual std::map<std::string, int64_t> events() const { return {}; }
};

struct RewardKind {
  std::string_view name;
  std::string_view about;
  // `options` is an object. Throws Error{kBadInput} for options that it does not know or that are wrong, and
  // kUnsupported when this machine cannot do it (a sandbox without namespaces).
  std::unique_ptr<Reward> (*make)(const base::Json& options);
};

std::span<const RewardKind> reward_kinds();

// Throws Error{kBadInput} that lists the names, and what `make` throws.
std::unique_ptr<Reward> make_reward(std::string_view name, const base::Json& options);

}  // namespace hadal::posttrain
