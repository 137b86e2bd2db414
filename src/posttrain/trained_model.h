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

}  // namespace hadal::posttrain
