// Distillation: a student learns from a teacher's answers, or from what the teacher says of its own. A step:
//   1. `prompts` questions of the task's training side, `answers` sampled for each by teacher or student
//   2. with `verified`, answers that the task's verifier refuses are dropped
//   3. one AdamW update with the mean over the remaining answers' tokens of
//        tokens      -ln q(token)                              (DeepSeek-R1 section 2.4: SFT on samples)
//        forward_kl  KL(p || q) over the whole vocabulary      p the teacher, q the student
//        reverse_kl  KL(q || p)                                on the student's samples: on-policy
//        distillation
// The verifier may say more than the teacher: with teacher = student = base and loss = tokens this is one
// round of rejection sampling (SFT on the model's own right answers).
//
// What a run directory holds, and what resuming keeps: train/run_loop.h.
#pragma once

#include "posttrain/distill/recipe.h"
#include "train/trainer.h"

namespace hadal::posttrain {

// Throws Error: bad input before anything is written (vocabularies that differ, for one); kIo when the disk
// refuses.
train::Outcome run_distill(const DistillRecipe& recipe, const train::TrainerOptions& options);

}  // namespace hadal::posttrain
