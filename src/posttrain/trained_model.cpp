#include "posttrain/trained_model.h"

#include <fmt/format.h>
#include <xxhash.h>

#include "base/files.h"
#include "base/json.h"
#include "model/export/export_plan.h"
#include "quant/registry.h"
#include "train/export_model.h"

namespace hadal::posttrain {

void write_trained_model(const std::string& directory, const model::CheckpointInput& base,
                         const model::Transformer& model, bool bf16) {
  base::Json config = base.output_config(model.config().num_nextn_predict_layers > 0);
  model::set_hf_type(config, quant::weight_format(bf16 ? quant::WeightType::kBF16 : quant::WeightType::kF32));
  base::write_file_atomic(directory + "/config.json", base::dump_json(config, 2) + "\n");
  base.write_side_files(directory);
  train::write_weights(directory, model, bf16);
}

std::string weights_digest(const model::Transformer& model) {
  const std::string config = base::dump_json(model::config_to_json(model.config()));
  uint64_t digest = XXH3_64bits(config.data(), config.size());
  const auto add = [&](const void* bytes, size_t count) {
    digest = XXH3_64bits_withSeed(bytes, count, digest);
  };
  for (const model::Parameter& p : model.parameters()) {
    add(p.name.data(), p.name.size());
    add(p.shape.data(), p.shape.size() * sizeof p.shape[0]);
    add(p.value, static_cast<size_t>(p.size()) * sizeof(float));
  }
  return fmt::format("{:016x}", digest);
}

}  // namespace hadal::posttrain
