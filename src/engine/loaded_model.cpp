#include "engine/loaded_model.h"

#include <filesystem>

#include "format/hf_directory.h"
#include "model/adapted_source.h"
#include "model/gguf_config.h"
#include "model/gguf_source.h"

namespace hadal::engine {

namespace {

std::unique_ptr<const format::TensorSource> adapted(std::unique_ptr<const format::TensorSource> source,
                                                    const model::ModelConfig& config,
                                                    const std::string& adapter) {
  if (adapter.empty()) return source;
  return std::make_unique<model::AdaptedSource>(std::move(source), config, model::Adapter::load(adapter));
}

}  // namespace

std::shared_ptr<const LoadedModel> LoadedModel::load(const std::string& path, const std::string& adapter) {
  if (!std::filesystem::is_directory(path))
    return load(std::make_shared<const format::GgufFile>(path), adapter);
  const auto config = model::load_config(path);
  auto source = std::make_unique<format::WeightSource>(format::WeightSource::open(path));
  return std::shared_ptr<const LoadedModel>(
      new LoadedModel({config, adapted(std::move(source), config, adapter)}));
}

std::shared_ptr<const LoadedModel> LoadedModel::load(std::shared_ptr<const format::GgufFile> file,
                                                     const std::string& adapter) {
  const auto config = model::parse_config(model::config_from_gguf(*file), file->path());
  auto source =
      std::make_unique<model::GgufSource>(std::move(file), std::string(model::gguf_architecture(config)));
  return std::shared_ptr<const LoadedModel>(
      new LoadedModel({config, adapted(std::move(source), config, adapter)}));
}

std::shared_ptr<const LoadedModel> LoadedModel::load(const model::ModelConfig& config,
                                                     std::unique_ptr<const format::TensorSource> source) {
  return std::shared_ptr<const LoadedModel>(new LoadedModel({config, std::move(source)}));
}

int64_t LoadedModel::active_parameter_count() const {
  return config().active_matmul_parameters() + config().hidden_size;
}

}  // namespace hadal::engine
