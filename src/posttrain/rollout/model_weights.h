// The weights of a model in training as a source for the inference engine: views on the trainer's own FP32
// memory, no copy. What an optimizer step writes is what the next rollout reads, once the engine has been
// told (Engine::weights_changed).
#pragma once

#include <memory>

#include "format/tensor_source.h"
#include "model/transformer.h"

namespace hadal::posttrain {

// The model must outlive the source.
std::unique_ptr<const format::TensorSource> model_weights(const model::Transformer& model);

}  // namespace hadal::posttrain
