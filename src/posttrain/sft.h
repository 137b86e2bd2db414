// Supervised fine-tuning on conversations: the cross-entropy of the assistant's tokens, all weights or a
// low-rank adapter, in the loop of train/run_loop.h. RUN/model and each checkpoint's model/ are Hugging Face
// directories that `hadal serve` takes; with an adapter they are PEFT directories, for `--adapter`.
//
// The loss of a step is the mean over all tokens to learn in its rows, however the rows are cut into
// micro-batches. The validation part is chosen by the hash of each line, so that it stays the same when lines
// are added or shuffled, and a line that stands twice is never on both sides.
#pragma once

#include "posttrain/sft_recipe.h"
#include "train/run_loop.h"

namespace hadal::posttrain {

// Throws Error: see run_stage; bad lines of the data as "[sft] file:line: reason".
train::Outcome fine_tune(const SftRecipe& recipe, const train::TrainerOptions& options);

}  // namespace hadal::posttrain
