// A pre-training run as a TOML file. Every hyper-parameter has one name here; keys that nobody knows are
// errors that name the nearest known key. docs/howto and recipes/nano/nano.toml show it in use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/config.h"
#include "train/optimizer.h"
#include "train/recipe_parts.h"
#include "train/schedule.h"

namespace hadal::train {

struct DataOptions {
  std::string dataset;            // directory that `hadal data build` made; relative to the working directory
  int64_t sequence_tokens = 256;  // inputs of one row
  int64_t batch_sequences = 8;    // rows of one optimizer step
  int64_t micro_batches = 1;      // the step's rows are cut into this many forward-backward passes
  bool document_mask = false;     // attention stops at document boundaries (V3 packs without this mask)
  int64_t piece_tokens = 1024;    // longer documents are shuffled in pieces of this many tokens; 0: whole
};

struct BalanceOptions {
  GammaSchedule gamma;
  double sequence_alpha = 1e-4;  // V3 eq. 17
};

struct EvalOptions {
  int64_t every_steps = 200;      // 0: only at the end
  int64_t sequences = 64;         // rows of validation text per evaluation
  int64_t final_sequences = 512;  // at the end of the run
  int64_t load_every_steps = 10;  // expert loads into metrics.jsonl
  int64_t report_every_steps = 50;
};

struct Recipe {
  std::string path;
  std::string text;  // the effective TOML, overrides included
  uint64_t seed = 1;
  int threads = 0;  // 0: all processors
  model::ModelConfig model;
  double initializer_range = 0.02;
  DataOptions data;
  OptimizerOptions optimizer;
  Schedule schedule;
  MtpSchedule mtp;
  BalanceOptions balance;
  CheckpointOptions checkpoint;
  EvalOptions eval;

  int64_t tokens_per_step() const { return data.batch_sequences * data.sequence_tokens; }
};

// Reads a recipe; `overrides` are "section.key=value". Throws Error{kBadInput} "[recipe] file:line: key ...".
Recipe load_recipe(const std::string& path, const std::vector<std::string>& overrides = {});
Recipe parse_recipe(const std::string& toml, const std::string& name,
                    const std::vector<std::string>& overrides = {});

// Every value, under "section": {"key": ...}: what a checkpoint remembers of its recipe.
base::Json recipe_to_json(const Recipe& recipe);

// Throws Error{kBadInput} when a run that began as `before` cannot go on as `now`: another model, other data,
// another seed; "/model/NAME_digest" tells whether the files of a model are still the same. Returns the other
// differences, one line each ("/optimizer/beta2: 0.95 -> 0.99").
std::vector<std::string> compare_recipes(const base::Json& before, const base::Json& now);

}  // namespace hadal::train
