// A completion of "12+34" that owns what it points at.
#pragma once

#include <string>

#include "posttrain/rewards/reward.h"

namespace hadal::test {

struct RewardSample {
  eval::Problem problem = eval::open_task("sums:2")->problem(eval::Split::kAll, 0, 0);
  std::string text;
  posttrain::Completion view;

  explicit RewardSample(std::string completion, int64_t tokens = 10, bool finished = true, uint64_t draw = 0)
      : text(std::move(completion)) {
    problem.facts = {{"expression", "12+34"}};
    problem.answer = "46";
    view = {&problem, text, eval::parse_tags(text), tokens, finished, draw};
  }
  RewardSample(const RewardSample&) = delete;
  RewardSample& operator=(const RewardSample&) = delete;
};

}  // namespace hadal::test
