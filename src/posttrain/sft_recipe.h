// A fine-tuning run as a TOML file. Every value has a default but the model and the data; the command line
// sets the usual ones. docs/guide/finetune.md shows it in use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "model/lora.h"
#include "train/recipe_parts.h"

namespace hadal::posttrain {

struct SftData {
  std::string conversations;          // JSONL: see conversations.h
  std::string validation;             // another such file; empty: a part of the first one
  double validation_fraction = 0.05;  // of the conversations, by the hash of their lines
  int64_t sequence_tokens = 0;        // of a row, and of the longest sample; 0: the model's, at most 1024
  int64_t batch_sequences = 8;        // rows of one optimizer step
  int64_t micro_batches = 1;          // the step's rows are cut into this many forward-backward passes
  double epochs = 3;                  // unless schedule.steps says otherwise
  bool skip_bad = false;              // leave bad lines out, and count them
};

struct SftRecipe {
  std::string path;
  std::string text;  // the effective TOML, overrides included
  uint64_t seed = 1;
  int threads = 0;          // 0: all processors
  std::string model;        // a Hugging Face directory or a GGUF file
  std::string chat_format;  // empty: the checkpoint's own
  SftData data;
  bool lora = false;  // else all weights
  model::LoraOptions adapter;
  train::OptimizerOptions optimizer;
  train::Schedule schedule;   // steps 0: from the epochs
  int64_t warmup_steps = -1;  // -1: a tenth of the run, at most 100
  double mtp_weight = 0.1;    // of a model with an MTP module; 0 (the default with LoRA): it stays as it is
  double balance_alpha = 0;   // sequence-wise balance loss of MoE layers
  double gamma = 0;           // of the routing biases' balancing rule; 0: they stay as they are
  train::CheckpointOptions checkpoint;
  int64_t eval_every_steps = 50;  // 0: only at the end
  int64_t report_every_steps = 20;
};

// Throws Error{kBadInput} "[recipe] file:line: key ...".
SftRecipe parse_sft_recipe(const std::string& toml, const std::string& name,
                           const std::vector<std::string>& overrides = {});
SftRecipe load_sft_recipe(const std::string& path, const std::vector<std::string>& overrides = {});

// Every value, under "section": {"key": ...}. The steps are those of the schedule.
base::Json sft_recipe_to_json(const SftRecipe& recipe);

}  // namespace hadal::posttrain
