// What tokens cost to make, from what a machine was seen to do, and the prices that follow.
#pragma once

#include <span>

namespace hadal::ledger {

// A server's counters between two looks at them (from /metrics), a moment each.
struct WorkSample {
  double busy_seconds = 0;      // in steps of the model
  double prefilled_tokens = 0;  // computed as part of prompts
  double generated_tokens = 0;
};

struct SecondsPerToken {
  double miss = 0;
  double output = 0;
};

// The costs that explain the busy time of the samples best (least squares, neither below zero). When the
// samples cannot tell the two apart (one kind of work only, or always the same mix), `output_weight` does: an
// output token takes as long as so many prompt tokens. Throws Error{kBadInput} when nothing was done.
SecondsPerToken fit_seconds(std::span<const WorkSample> samples, double output_weight);

struct PriceTerms {
  double cost_per_hour = 0;  // of the machine, in all
  double margin = 0;         // 0.3: 30 % on top
  double busy_share = 1;     // of the hours paid for, how many are busy: (0, 1]
  double hit_share = 0.1;    // of a miss token's price, what a hit token costs
};

struct SuggestedPrices {  // of a million tokens
  double cost_miss = 0, cost_output = 0;
  double hit = 0, miss = 0, output = 0;
};

// price = seconds per token * cost per hour / 3600 / busy share * (1 + margin), times a million.
SuggestedPrices suggest_prices(const SecondsPerToken& seconds, const PriceTerms& terms);

}  // namespace hadal::ledger
