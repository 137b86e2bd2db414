// Pre-training: from a recipe to RUN/model, in the loop of run_loop.h.
#pragma once

#include "train/recipe.h"
#include "train/run_loop.h"

namespace hadal::train {

// Throws Error: bad input before anything is written; kIo when the disk refuses (earlier checkpoints stay
// valid).
Outcome pretrain(const Recipe& recipe, const TrainerOptions& options);

// FLOPs of the matrix products of one trained token, 6 per weight that it is multiplied with (forward 2,
// backward 4); attention scores are not counted. With the MTP module's block, projection and head where it is
// trained.
double flops_per_token(const model::ModelConfig& config, bool with_mtp);

}  // namespace hadal::train
