// What RUN/report.html shows of a run of GRPO, from its metrics.jsonl.
#pragma once

#include <span>

#include "posttrain/rewards/reward_sum.h"
#include "train/report.h"

namespace hadal::posttrain {

train::ReportLayout grpo_report(std::span<const RewardPart> parts);

}  // namespace hadal::posttrain
