// Pre-training: from a recipe to RUN/model. What a run directory holds:
//   recipe.toml     the effective recipe       metrics.jsonl  one line per step
//   checkpoints/    see checkpoint.h           ledger.json    what it cost
//   report.html     the curves                 summary.json   the final figures
//   model/          the trained model, a Hugging Face directory (written at the end)
//
// Deterministic: the same recipe, seed and data give the same bits in every weight and the same loss in every
// line, with any number of threads, and with any number of kills and resumes in between.
#pragma once

#include <cstdint>
#include <string>

#include "train/progress.h"
#include "train/recipe.h"

namespace hadal::train {

struct TrainerOptions {
  std::string run;      // directory; made when missing
  bool resume = false;  // continue from the newest whole checkpoint in it
  int threads = 1;
  double peak_flops_per_s = 0;  // measured FMA peak with these threads, for MFU; 0: not known
  ProgressLine::Mode progress = ProgressLine::Mode::kAuto;
};

enum class Outcome { kFinished, kStopped };  // stopped: a signal asked for it, and the state is saved

// Throws Error: bad input before anything is written; kIo when the disk refuses (earlier checkpoints stay
// valid).
Outcome pretrain(const Recipe& recipe, const TrainerOptions& options);

// FLOPs of the matrix products of one trained token, 6 per weight that it is multiplied with (forward 2,
// backward 4); attention scores are not counted. With the MTP module's block, projection and head where it is
// trained.
double flops_per_token(const model::ModelConfig& config, bool with_mtp);

}  // namespace hadal::train
