// Auxiliary-loss-free load balancing (arXiv 2408.15664; DeepSeek-V3 section 2.1.2): after each step the
// routing bias of an expert with less than the mean load goes up by gamma, of one with more goes down.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/json.h"

namespace hadal::train {

using ExpertLoad = std::vector<std::vector<int64_t>>;  // [moe layers, n_routed_experts]: tokens sent to each

void add_load(const ExpertLoad& part, ExpertLoad& total);  // an empty total takes the shape of part

// b_i += gamma * sign(mean_load - load_i), with the load of the whole global batch of the step. Layers whose
// bias span is empty are left alone.
void update_routing_biases(const ExpertLoad& load, double gamma, std::span<const std::span<float>> biases);

// MaxVio (arXiv 2408.15664 eq. 4): (max load - mean load) / mean load, averaged over layers. 0: perfect
// balance.
double max_violation(const ExpertLoad& load);

// Load of every expert relative to the mean, to three digits: what the report's heat map shows.
base::Json relative_load(const ExpertLoad& load);

}  // namespace hadal::train
