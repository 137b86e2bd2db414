// Immutable weights of one model, ready for inference; shared by its sessions.
#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "format/gguf.h"
#include "model/config.h"
#include "model/stored_weights.h"

namespace hadal::engine {

class LoadedModel {
 public:
  // Opens a Hugging Face directory or a GGUF file. Throws Error naming file, tensor and values. `adapter`: a
  // PEFT directory, or empty; the matrices that it adapts become FP32, merged (model/adapted_source.h).
  static std::shared_ptr<const LoadedModel> load(const std::string& path, const std::string& adapter = "");
  static std::shared_ptr<const LoadedModel> load(std::shared_ptr<const format::GgufFile> file,
                                                 const std::string& adapter = "");
  static std::shared_ptr<const LoadedModel> load(const model::ModelConfig& config,
                                                 std::unique_ptr<const format::TensorSource> source);

  const model::ModelConfig& config() const { return weights_.config(); }
  const model::StoredWeights& weights() const { return weights_; }
  int64_t parameter_count() const { return weights_.parameter_count(); }  // the MTP module included
  int64_t active_parameter_count()
      const;  // matrices that one token is multiplied with, and its embedding row

 private:
  explicit LoadedModel(model::StoredWeights weights) : weights_(std::move(weights)) {}
  model::StoredWeights weights_;
};

}  // namespace hadal::engine
