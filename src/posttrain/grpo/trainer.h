// Group relative policy optimisation (GRPO): DeepSeekMath (arXiv 2402.03300) section 4.1, as DeepSeek-R1
// (arXiv 2501.12948) uses it with rules for rewards. A step:
//   1. `prompts` new questions of the task's training side, `answers` sampled for each (rollout/rollout.h)
//   2. a reward for every answer (rewards/); A_i = (R_i - mean R) / std R within its group
//   3. for each minibatch of the questions, one AdamW update with the gradient of
//        J = sum_t w_t ( min(r_t A_t, clip(r_t, 1 - clip_low, 1 + clip_high) A_t) - kl k3_t )
//      (ops/policy_loss.h; w_t by grpo/advantage.h). The sampler's own log-probabilities are the old
//      policy's.
// Groups without signal (all rewards equal) add nothing to the gradient; their answers count in w_t.
//
// The first minibatch is computed with the weights that sampled it: there the trainer's log-probabilities are
// compared with the sampler's, in every step, and the difference is shown (logprob_diff_max, _mean). It is
// rounding: another order of sums, and now and then an expert whose score was equal to the last bit.
//
// What a run directory holds is pre-training's (train/trainer.h), and besides
//   reference/step-N/  the weights that KL is measured against, since step N
//   samples/step-N.txt answers to held-out questions, as they are
// Deterministic: the same recipe and base give the same bits, with any number of kills and resumes in
// between.
#pragma once

#include <string>

#include "posttrain/grpo/recipe.h"
#include "train/trainer.h"

namespace hadal::posttrain {

// Throws Error: bad input before anything is written; kIo when the disk refuses (earlier checkpoints stay
// valid).
train::Outcome run_grpo(const GrpoRecipe& recipe, const train::TrainerOptions& options);

}  // namespace hadal::posttrain
