// The loop of every training run: steps, metrics, checkpoints, resume, reports, what it cost. Pre-training
// and fine-tuning are stages in it: each knows its recipe, its data and what a step is. What a run directory
// holds:
//   recipe.toml     the effective recipe       metrics.jsonl  one line per step
//   checkpoints/    see checkpoint.h           ledger.json    what it cost
//   report.html     the curves                 summary.json   the final figures
//   model/          the result (written at the end)
//
// Deterministic, as far as the stage is: the same recipe, seed and data give the same bits in every weight
// and the same loss in every line, with any number of threads, and with any number of kills and resumes in
// between.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "model/transformer.h"
#include "train/batches.h"
#include "train/optimizer.h"
#include "train/progress.h"
#include "train/report.h"

namespace hadal::train {

struct TrainerOptions {
  std::string run;      // directory; made when missing
  bool resume = false;  // continue from the newest whole checkpoint in it
  int threads = 1;
  double peak_flops_per_s = 0;  // measured FMA peak with these threads, for MFU; 0: not known
  ProgressLine::Mode progress = ProgressLine::Mode::kAuto;
  std::string go_on = "continue with --resume";  // what a user does behind a stop or a failure
};

// In summary.json, 16 hex digits: the data that a run which is done was trained on (LoopPlan::data_checksum).
inline constexpr const char* kDataChecksum = "data_xxh3";

enum class Outcome { kFinished, kStopped };  // stopped: a signal asked for it, and the state is saved

// What the loop needs to know of a recipe.
struct LoopPlan {
  std::string stage;  // "pretrain", "sft": for the ledger
  std::string recipe_text;
  base::Json recipe;  // under "section": {"key": ...}
  int64_t steps = 0;
  int64_t checkpoint_every = 200;
  int64_t checkpoints_kept = 2;
  int64_t report_every = 50;
  std::string data;  // its name in messages
  uint64_t data_checksum = 0;
  bool progress_line = true;  // false: the stage tells itself how it goes
};

struct StepResult {
  base::Json line;  // of metrics.jsonl: the loop adds step, tokens, seconds, tokens_per_s and mfu
  double loss = 0;
  double bpb = 0;  // for the progress line; 0: none
  int64_t tokens = 0;
  double flops = 0;  // of the matrix products
};

class TrainingStage {
 public:
  virtual ~TrainingStage() = default;
  virtual const LoopPlan& plan() const = 0;
  // Makes the model, with its gradients on, and the optimizer. Called once, when the run directory is ours;
  // what follows, after it.
  virtual void build() = 0;
  // What checkpoints hold.
  virtual model::Transformer& model() = 0;
  virtual Optimizer& optimizer() = 0;
  virtual DataPosition position() const = 0;
  virtual void seek(const DataPosition& position) = 0;  // throws Error{kBadInput}
  virtual std::string announcement() const = 0;         // one line when the run begins
  // Throws Error{kBadInput} when a run that began with the recipe `before` cannot go on with this one;
  // returns the differences that do not matter.
  virtual std::vector<std::string> changes_since(const base::Json& before) const = 0;

  virtual StepResult step(int64_t number, base::ThreadPool& pool) = 0;  // the first is 1
  // After a step: validation and the like, into the line. Returns the newest figure of validation for the
  // progress line (0: none). Its time is overhead.
  virtual double after_step(int64_t number, base::Json& line, base::ThreadPool& pool) = 0;
  // Writes the model, servable, into a directory that exists.
  virtual void write_model(const std::string& directory) = 0;
  virtual base::Json summary(base::ThreadPool& pool) = 0;  // at the end, for summary.json

  // For stages that want more: a line of metrics for "step" 0, before anything is learnt (null: none); what
  // report.html draws; what is to be done when a checkpoint of `step` lies on the disk.
  virtual base::Json first_line(base::ThreadPool& /*pool*/) { return {}; }
  virtual ReportLayout report() const { return {}; }
  virtual void after_save(int64_t /*step*/) {}
};

// Throws Error{kInternal} that says what to do when a step's loss or gradient norm is not finite.
void check_finite(int64_t step, double loss, double norm);

// Throws Error: bad input before anything is written; kIo when the disk refuses (earlier checkpoints stay
// valid).
Outcome run_stage(TrainingStage& stage, const TrainerOptions& options);

}  // namespace hadal::train
