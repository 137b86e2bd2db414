// A trained model as the checkpoint that it began as: config, tokenizer, chat template and generation
// settings of the base, the weights new. So what served the base serves the result.
#pragma once

#include <string>

#include "model/checkpoint_input.h"
#include "model/transformer.h"

namespace hadal::posttrain {

// Into `directory`, which exists. bf16: weights rounded to BF16, else FP32. Throws Error{kIo}.
void write_trained_model(const std::string& directory, const model::CheckpointInput& base,
                         const model::Transformer& model, bool bf16);

// What tells a model as it was loaded from any other, whatever its path and its files' format: XXH3-64 over
// its config and the names, shapes and FP32 values of its weights, 16 hex digits. A run's recipe has those of
// the models that it began with as "/model/NAME_digest" (train::compare_recipes).
std::string weights_digest(const model::Transformer& model);

}  // namespace hadal::posttrain
