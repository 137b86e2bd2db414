#include "model/lora.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "format/safetensors.h"
#include "format/tensor_source.h"
#include "model/export/weight_list.h"
#include "model/weights.h"
#include "ops/linear.h"

namespace hadal::model {
namespace {

using base::Json;

constexpr std::string_view kPrefix = "base_model.model.";
constexpr std::string_view kWeight = ".weight";
constexpr size_t kMostListed = 8;

std::string_view last_part(std::string_view module) { return module.substr(module.rfind('.') + 1); }

bool is_attention(std::string_view module) { return module.find(".self_attn.") != std::string_view::npos; }
bool is_expert(std::string_view module) { return module.find(".mlp.experts.") != std::string_view::npos; }

bool means(std::string_view target, std::string_view module) {
  if (target == "all") return true;
  if (target == "attention") return is_attention(module);
  if (target == "experts") return is_expert(module);
  if (target == "mlp") return !is_attention(module) && !is_expert(module);
  return module == target || (module.size() > target.size() && module.ends_with(target) &&
                              module[module.size() - target.size() - 1] == '.');
}

// Every matrix of the main model's layers that can be adapted, without the router.
std::vector<LoraModule> all_modules(const ModelConfig& config) {
  std::vector<LoraModule> modules;
  for (const WeightInfo& weight : weight_list(config, /*with_mtp=*/false)) {
    if (weight.role != WeightRole::kMatrix && weight.role != WeightRole::kKvB) continue;
    modules.push_back(
        {weight.name.substr(0, weight.name.size() - kWeight.size()), weight.shape[0], weight.shape[1]});
  }
  return modules;
}

// PEFT's target_modules for these modules: a regular expression that fits them and no others.
std::string target_pattern(const std::set<std::string>& modules) {
  // Layers and experts as numbers, so that a pattern stands for all of them.
  std::set<std::string> shapes;
  for (const std::string& module : modules) {
    std::string shape;
    for (size_t i = 0; i < module.size(); ++i) {
      if (module[i] >= '0' && module[i] <= '9' && i > 0 && module[i - 1] == '.') {
        shape += "\\d+";
        while (i + 1 < module.size() && module[i + 1] >= '0' && module[i + 1] <= '9') ++i;
      } else if (module[i] == '.') {
        shape += "\\.";
      } else {
        shape += module[i];
      }
    }
    shapes.insert(shape);
  }
  return fmt::format(".*({})", fmt::join(shapes, "|"));
}

struct Names {
  std::string module;
  char which;  // 'A' or 'B'
};

Names parse_name(const std::string& name, const std::string& file) {
  for (const char which : {'A', 'B'}) {
    for (const std::string& ending :
         {fmt::format(".lora_{}.weight", which), fmt::format(".lora_{}.default.weight", which)}) {
      if (!name.starts_with(kPrefix) || !name.ends_with(ending)) continue;
      return {name.substr(kPrefix.size(), name.size() - kPrefix.size() - ending.size()), which};
    }
  }
  throw_error(ErrorCode::kUnsupported, "[lora] {}: tensor {} is no A or B of a low-rank adapter", file, name);
}

void refuse(const Json& config, const std::string& path, const char* key, const Json& harmless) {
  const auto it = config.find(key);
  if (it == config.end() || it->is_null() || *it == harmless || (it->is_structured() && it->empty())) return;
  throw_error(ErrorCode::kUnsupported, "[lora] {}: {}: {} is not supported", path, key,
              base::dump_json(*it).substr(0, 100));
}

double number(const Json& config, const std::string& path, const char* key, double low, double high) {
  const auto it = config.find(key);
  const double value = it != config.end() && it->is_number() ? it->get<double>() : NAN;
  if (!(value >= low && value <= high)) {
    throw_error(ErrorCode::kBadInput, "[lora] {}: {}: must be a number from {} to {}", path, key, low, high);
  }
  return value;
}

}  // namespace

std::string lora_tensor_name(const std::string& module, char which) {
  return fmt::format("{}{}.lora_{}.weight", kPrefix, module, which);
}

std::string lora_module_of(const std::string& tensor_name) {
  return parse_name(tensor_name, "adapter").module;
}

std::vector<LoraModule> lora_modules(const ModelConfig& config, std::span<const std::string> targets) {
  const std::vector<LoraModule> modules = all_modules(config);
  std::vector<bool> wanted(modules.size());
  for (const std::string& target : targets) {
    bool any = false;
    for (size_t i = 0; i < modules.size(); ++i) {
      if (!means(target, modules[i].name)) continue;
      wanted[i] = any = true;
    }
    if (any) continue;
    std::set<std::string> known = {"all", "attention", "mlp"};
    if (config.n_routed_experts > 0) known.insert("experts");
    for (const LoraModule& module : modules) known.insert(std::string(last_part(module.name)));
    throw_error(ErrorCode::kBadInput, "[lora] target \"{}\": this model has {}", target,
                fmt::join(known, ", "));
  }
  std::vector<LoraModule> out;
  for (size_t i = 0; i < modules.size(); ++i) {
    if (wanted[i]) out.push_back(modules[i]);
  }
  if (out.empty()) throw_error(ErrorCode::kBadInput, "[lora] no targets: nothing would be trained");
  return out;
}

Adapter Adapter::load(const std::string& directory) {
  Adapter adapter;
  adapter.directory_ = directory;
  const std::string path = directory + "/adapter_config.json";
  if (!base::file_exists(path)) {
    throw_error(ErrorCode::kBadInput,
                "[lora] {}: adapter_config.json is not there: no adapter in PEFT's layout", directory);
  }
  const Json config = base::read_json_file(path);
  if (!config.is_object() || config.value("peft_type", Json()) != "LORA") {
    throw_error(ErrorCode::kUnsupported, "[lora] {}: peft_type: only \"LORA\" is supported", path);
  }
  for (const char* key : {"use_dora", "fan_in_fan_out"}) refuse(config, path, key, false);
  refuse(config, path, "bias", "none");
  for (const char* key :
       {"modules_to_save", "rank_pattern", "alpha_pattern", "trainable_token_indices", "target_parameters"})
    refuse(config, path, key, nullptr);
  const double rank = number(config, path, "r", 1, 1 << 20);
  const double alpha = number(config, path, "lora_alpha", 1e-9, 1e9);
  const bool rs = config.value("use_rslora", Json()) == true;
  adapter.scale_ = static_cast<float>(alpha / (rs ? std::sqrt(rank) : rank));
  adapter.config_ = config;

  const format::SafetensorsFile file(directory + "/adapter_model.safetensors");
  std::map<std::string, std::array<const format::TensorView*, 2>> pairs;
  for (const auto& [name, view] : file.tensors()) {
    const Names names = parse_name(name, file.path());
    pairs[names.module][names.which == 'B'] = &view;
  }
  if (pairs.empty()) throw_error(ErrorCode::kBadInput, "[lora] {}: no tensors", file.path());
  for (const auto& [module, pair] : pairs) {
    const auto shape_of = [&](int i) {
      return pair[i] == nullptr ? "missing" : format::shape_text(pair[i]->shape);
    };
    const bool whole = pair[0] != nullptr && pair[1] != nullptr && pair[0]->shape.size() == 2 &&
                       pair[1]->shape.size() == 2 && pair[0]->shape[0] == pair[1]->shape[1] &&
                       pair[0]->shape[0] > 0;
    if (!whole || static_cast<double>(pair[0]->shape[0]) != rank) {
      throw_error(ErrorCode::kBadInput, "[lora] {}: {}: A is {}, B is {}: not two matrices of rank {}",
                  file.path(), module, shape_of(0), shape_of(1), rank);
    }
    Part part{{module, pair[1]->shape[0], pair[0]->shape[1]}, pair[0]->shape[0], {}, {}};
    part.a.resize(static_cast<size_t>(part.rank * part.module.cols));
    part.b.resize(static_cast<size_t>(part.module.rows * part.rank));
    format::to_float(*pair[0], part.a.data());
    format::to_float(*pair[1], part.b.data());
    for (const auto* values : {&part.a, &part.b}) {
      if (std::all_of(values->begin(), values->end(), [](float v) { return std::isfinite(v); })) continue;
      throw_error(ErrorCode::kBadInput, "[lora] {}: {}: a value is not a finite number", file.path(), module);
    }
    adapter.parts_.emplace(module, std::move(part));
  }
  return adapter;
}

void Adapter::check_fits(const ModelConfig& model, const std::string& model_name) const {
  std::map<std::string, LoraModule> there;
  for (LoraModule& module : all_modules(model)) there.emplace(module.name, module);
  std::vector<std::string> differences;
  for (const auto& [name, part] : parts_) {
    const auto it = there.find(name);
    if (it == there.end()) {
      differences.push_back(fmt::format("{} is not there", name));
    } else if (it->second.rows != part.module.rows || it->second.cols != part.module.cols) {
      differences.push_back(fmt::format("{} is [{}, {}], the adapter's [{}, {}]", name, it->second.rows,
                                        it->second.cols, part.module.rows, part.module.cols));
    }
  }
  if (differences.empty()) return;
  const size_t all = differences.size();
  if (all > kMostListed) differences.resize(kMostListed);
  throw_error(ErrorCode::kBadInput, "[lora] {} is an adapter for another model than {}: {}{}", directory_,
              model_name, fmt::join(differences, "; "),
              all > kMostListed ? fmt::format("; and {} more", all - kMostListed) : "");
}

void Adapter::add_to(const Part& part, float scale, float* w, base::ThreadPool& pool) {
  std::vector<float> b(part.b);
  for (float& v : b) v *= scale;
  const LoraModule& m = part.module;
  ops::linear_backward_input(tensor::matrix(std::as_const(b).data(), m.rows, part.rank),
                             tensor::matrix(part.a.data(), part.rank, m.cols),
                             tensor::matrix(w, m.rows, m.cols), pool, /*accumulate=*/true);
}

void write_adapter(const std::string& directory, const LoraOptions& options, const std::string& base_model,
                   std::span<const Parameter> adapters) {
  std::set<std::string> modules;
  std::vector<format::TensorToWrite> tensors;
  for (const Parameter& parameter : adapters) {
    modules.insert(parse_name(parameter.name, directory).module);
    tensors.push_back({parameter.name, tensor::DType::kF32, parameter.shape, parameter.value, {}});
  }
  const Json config = {{"peft_type", "LORA"},
                       {"task_type", "CAUSAL_LM"},
                       {"base_model_name_or_path", base_model},
                       {"r", options.rank},
                       {"lora_alpha", options.alpha},
                       {"lora_dropout", 0.0},
                       {"bias", "none"},
                       {"fan_in_fan_out", false},
                       {"use_rslora", false},
                       {"use_dora", false},
                       {"modules_to_save", nullptr},
                       {"inference_mode", true},
                       {"target_modules", target_pattern(modules)}};
  base::write_file_atomic(directory + "/adapter_config.json", base::dump_json(config, 2) + "\n");
  format::write_safetensors(directory + "/adapter_model.safetensors", tensors, {{"format", "pt"}});
}

}  // namespace hadal::model
