// A checkpoint with an adapter merged in: each adapted matrix as FP32, W + scale B A; all else as it is
// stored.
#pragma once

#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "format/tensor_source.h"
#include "model/config.h"
#include "model/lora.h"

namespace hadal::model {

class AdaptedSource : public format::TensorSource {
 public:
  // `config`: of the source. Throws Error{kBadInput} when the adapter is for another model.
  AdaptedSource(std::unique_ptr<const format::TensorSource> source, const ModelConfig& config,
                Adapter adapter);

  // A matrix is merged when it is asked for first, and kept.
  std::optional<format::StoredTensor> find(const std::string& name) const override;
  void refuse_unused(const std::set<std::string>& used, const std::string& ignored) const override;
  const std::string& path() const override { return source_->path(); }
  int64_t bytes() const override { return source_->bytes(); }

 private:
  const std::vector<float>& merged(const Adapter::Part& part, const std::string& name) const;

  std::unique_ptr<const format::TensorSource> source_;
  ModelConfig config_;
  Adapter adapter_;
  mutable std::mutex mutex_;
  mutable std::map<std::string, std::vector<float>> merged_;  // by weight: [rows, cols]
};

}  // namespace hadal::model
