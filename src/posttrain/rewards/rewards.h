// Makers of the rewards, one a file, for registry.cpp: RewardKind::make's words apply.
#pragma once

#include <memory>

#include "posttrain/rewards/reward.h"

namespace hadal::posttrain {

std::unique_ptr<Reward> make_correct_reward(const base::Json& options);
std::unique_ptr<Reward> make_exact_reward(const base::Json& options);
std::unique_ptr<Reward> make_numeric_reward(const base::Json& options);
std::unique_ptr<Reward> make_format_reward(const base::Json& options);
std::unique_ptr<Reward> make_language_reward(const base::Json& options);
std::unique_ptr<Reward> make_length_reward(const base::Json& options);
std::unique_ptr<Reward> make_program_reward(const base::Json& options);
std::unique_ptr<Reward> make_http_reward(const base::Json& options);
std::unique_ptr<Reward> make_random_reward(const base::Json& options);
std::unique_ptr<Reward> make_constant_reward(const base::Json& options);

}  // namespace hadal::posttrain
