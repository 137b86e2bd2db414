// Several stages of post-training behind one another, as the R1 report orders them: a TOML file with a table
// [[stage]] for each,
//   name = "rl-1"                                   its run directory is RUN/rl-1
//   kind = "grpo"                                   or "distill"
//   recipe = "recipes/r1-zero/r1-zero.toml"
//   set = ["model.base={run}/cold-start/model"]     changes of its recipe; {run} is RUN
// A stage whose RUN/<name>/summary.json is there is done; one that was interrupted goes on. So the same
// command continues after a kill, and ends with the same bits.
#pragma once

#include <string>
#include <vector>

#include "train/trainer.h"

namespace hadal::posttrain {

struct PipelineStage {
  std::string name, kind, recipe;
  std::vector<std::string> set;  // {run} replaced
};

// The stages with `run` for {run}. Reads every stage's recipe, so that a mistake in the last one is told
// before the first begins. Throws Error{kBadInput}.
std::vector<PipelineStage> load_pipeline(const std::string& path, const std::string& run);

// options.run: RUN; options.resume is not looked at. Throws what the stages throw.
train::Outcome run_pipeline(const std::vector<PipelineStage>& stages, const train::TrainerOptions& options);

}  // namespace hadal::posttrain
