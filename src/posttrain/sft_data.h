// The conversations of a fine-tuning run as samples, split into training and validation.
#pragma once

#include <cstdint>
#include <vector>

#include "model/checkpoint_input.h"
#include "posttrain/conversations.h"
#include "posttrain/samples.h"
#include "posttrain/sft_recipe.h"

namespace hadal::posttrain {

struct LoadedSftData {
  std::vector<Sample> train;
  std::vector<Sample> validation;
  int64_t conversations = 0;  // whole lines that were read
  int64_t validation_conversations = 0;
  std::vector<SkippedLine> skipped;
  uint64_t checksum = 0;  // of what is learned and what is measured, and their order
};

// True for the part of all lines, `fraction` of them, that is held out.
bool is_held_out(uint64_t line_hash, double fraction);

// Reads and renders the recipe's files for the checkpoint, whose data.sequence_tokens is set. Throws
// Error{kBadInput} "[sft] file:line: reason" for a bad line (parse_conversation's reasons, a format without a
// place for something, a sample longer than data.sequence_tokens), unless data.skip_bad; and when nothing is
// left to learn, or the model has no chat format.
LoadedSftData load_sft_data(const SftRecipe& recipe, const model::CheckpointInput& checkpoint);

}  // namespace hadal::posttrain
