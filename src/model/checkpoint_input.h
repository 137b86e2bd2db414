// A checkpoint that becomes another one: what convert and fine-tuning read, and what they take over from it.
#pragma once

#include <memory>
#include <string>

#include "base/json.h"
#include "format/gguf.h"
#include "format/tensor_source.h"
#include "model/checkpoint_text.h"
#include "model/config.h"

namespace hadal::model {

struct CheckpointInput {
  std::string path;
  ModelConfig config;
  base::Json config_json;
  std::unique_ptr<const format::TensorSource> source;
  std::shared_ptr<const format::GgufFile> gguf;  // else a directory
  CheckpointText text;
  base::Json tokenizer_settings;  // tokenizer_config.json, or what GGUF says of it

  // A Hugging Face directory or a GGUF file; `adapter` (a directory, or empty) is merged into its weights.
  // Throws Error naming the file and what is wrong.
  static CheckpointInput open(const std::string& path, const std::string& adapter = "");

  bool has_mtp() const;  // the config names the module, and the weights are there
  // config.json of a directory that is made of it (the types of the weights apart: set_hf_type).
  base::Json output_config(bool with_mtp) const;
  // tokenizer_config.json with the one chat template that counts.
  base::Json settings() const;
  // What belongs to a model directory beside config and weights: tokenizer, template, generation settings.
  void write_side_files(const std::string& directory) const;
};

}  // namespace hadal::model
