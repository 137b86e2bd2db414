// The trained model as a Hugging Face directory: config.json, model.safetensors, tokenizer.json,
// tokenizer_config.json (with the chat template) and generation_config.json. Any program that reads DeepSeek
// checkpoints can read it.
#pragma once

#include <string>

#include "model/transformer.h"

namespace hadal::train {

struct ExportOptions {
  std::string tokenizer;  // path of a tokenizer.json; empty: none is written
  bool bf16 = true;       // weights rounded to BF16; routing biases stay FP32, as in DeepSeek-V3's files
};

// Writes the files into `directory`, which exists. Throws Error{kIo}.
void export_model(const std::string& directory, const model::Transformer& model,
                  const ExportOptions& options);

// model.safetensors alone.
void write_weights(const std::string& directory, const model::Transformer& model, bool bf16);

}  // namespace hadal::train
