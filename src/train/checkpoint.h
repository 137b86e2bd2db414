// Checkpoints of a training run. RUN/checkpoints/step-00000200/ holds
//   model/  the model as a Hugging Face directory (export_model.h)
//   state/  state.safetensors: FP32 master weights "weight.<name>" and moments "m.<name>", "v.<name>"
//           state.json: step, data position, recipe, size and XXH3-64 of state.safetensors
// Each is built in a directory aside, synced and renamed, so a kill, a full disk or a power cut at any
// instant leaves every earlier one as it was. Reading goes from the newest to the oldest and takes the first
// one that is whole: a file that is missing, cut short or altered is noticed by its checksum. Format:
// docs/formats/checkpoint.md.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/transformer.h"
#include "train/batches.h"
#include "train/export_model.h"
#include "train/optimizer.h"

namespace hadal::train {

struct TrainingState {
  int64_t step = 0;
  int64_t updates =
      0;  // that the optimizer made: fewer or more than steps where a stage leaves some out or has several
  int64_t tokens = 0;  // trained on so far
  DataPosition position;
  uint64_t dataset_checksum = 0;
  base::Json recipe;  // recipe_to_json
};

// Writes step-<state.step>: what is trained (the adapters where the model has some, else the weights), the
// moments, and what `write_model` puts into a folder. Throws Error{kIo}; earlier checkpoints are untouched
// then.
void write_checkpoint(const std::string& run, const TrainingState& state, model::Transformer& model,
                      Optimizer& optimizer, const std::function<void(const std::string&)>& write_model);
// With export_model as write_model.
void save_checkpoint(const std::string& run, const TrainingState& state, model::Transformer& model,
                     Optimizer& optimizer, const ExportOptions& options);

// Complete-looking checkpoint directories, newest first. Leftovers of interrupted writes are not listed.
std::vector<std::string> list_checkpoints(const std::string& run);

// Keeps `saved_step`, which was just written and is whole, and the `keep` - 1 before it; removes the others
// and leftovers of interrupted writes. What claims a later step is of no use to a run that stands at
// `saved_step`: training went on from an earlier checkpoint because the later ones were damaged.
void prune_checkpoints(const std::string& run, int64_t saved_step, int64_t keep);

// Sets every weight and moment. Throws Error "[checkpoint] <file>: ..." when anything is missing, damaged or
// of another shape; model and optimizer may then be partly set, and another load (or a new start) must
// follow.
TrainingState load_checkpoint(const std::string& directory, model::Transformer& model, Optimizer& optimizer);

// state.json alone, with the checksum of the state verified.
TrainingState read_training_state(const std::string& directory);

}  // namespace hadal::train
