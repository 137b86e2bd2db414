#include "posttrain/rollout/model_weights.h"

#include <map>

#include "base/error.h"

namespace hadal::posttrain {

namespace {

class ModelSource : public format::TensorSource {
 public:
  explicit ModelSource(const model::Transformer& model) {
    for (const model::Parameter& p : model.parameters()) {
      const auto values = std::span<const float>(p.value, static_cast<size_t>(p.size()));
      tensors_[p.name] = {
          &quant::weight_format(quant::WeightType::kF32), p.shape, std::as_bytes(values), {}, {}};
      bytes_ += static_cast<int64_t>(values.size_bytes());
    }
  }

  std::optional<format::StoredTensor> find(const std::string& name) const override {
    const auto it = tensors_.find(name);
    if (it == tensors_.end()) return std::nullopt;
    return it->second;
  }
  void refuse_unused(const std::set<std::string>& used, const std::string& ignored) const override {
    for (const auto& [name, tensor] : tensors_) {
      if (used.contains(name) || (!ignored.empty() && name.starts_with(ignored))) continue;
      throw_error(ErrorCode::kBadInput, "[rollout] tensor {} has no place in the config", name);
    }
  }
  const std::string& path() const override { return path_; }
  int64_t bytes() const override { return bytes_; }

 private:
  std::map<std::string, format::StoredTensor> tensors_;
  std::string path_ = "the model in training";
  int64_t bytes_ = 0;
};

}  // namespace

std::unique_ptr<const format::TensorSource> model_weights(const model::Transformer& model) {
  return std::make_unique<ModelSource>(model);
}

}  // namespace hadal::posttrain
