// Low-rank adapters (Hu et al. 2021) of whole models, in the layout of the PEFT library: a directory with
// adapter_config.json and adapter_model.safetensors (docs/formats/adapter.md).
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/json.h"
#include "base/thread_pool.h"
#include "model/config.h"
#include "tensor/tensor.h"

namespace hadal::model {

struct Parameter;

struct LoraOptions {
  int64_t rank = 16;
  double alpha = 32;  // the adapter's part is scaled by alpha / rank
  // Module names ("q_proj", "down_proj", ...: every module that ends so) and groups: "attention", "mlp"
  // (dense layers and shared experts), "experts" (routed ones), "all" (the three).
  std::vector<std::string> targets = {"attention", "mlp"};
};

// A matrix that an adapter stands beside.
struct LoraModule {
  std::string name;  // "model.layers.0.self_attn.q_proj": the weight's name without ".weight"
  int64_t rows = 0, cols = 0;
};

// The modules of the main model that `targets` mean, in checkpoint order. Throws Error{kBadInput} for a
// target that means none, with the names that the model has.
std::vector<LoraModule> lora_modules(const ModelConfig& config, std::span<const std::string> targets);

// An adapter as it is stored.
class Adapter {
 public:
  struct Part {
    LoraModule module;
    int64_t rank = 0;
    std::vector<float> a;  // [rank, cols]
    std::vector<float> b;  // [rows, rank]
  };

  // Throws Error{kBadInput} naming the file and what is wrong; kUnsupported for what PEFT can say and Hadal
  // cannot do (DoRA, trained biases, whole modules beside the adapter, per-module ranks that contradict).
  static Adapter load(const std::string& directory);

  const std::string& directory() const { return directory_; }
  const std::map<std::string, Part>& parts() const { return parts_; }  // by module
  float scale() const { return scale_; }
  const base::Json& config() const { return config_; }

  // Throws Error{kBadInput} that lists what the adapter has and the model has not, by name and shape.
  void check_fits(const ModelConfig& model, const std::string& model_name) const;

  // w[rows, cols] of the module += scale * B A.
  static void add_to(const Part& part, float scale, float* w, base::ThreadPool& pool);

 private:
  std::string directory_;
  std::map<std::string, Part> parts_;
  float scale_ = 1;
  base::Json config_;
};

// "base_model.model.<module>.lora_A.weight", as the tensors are named.
std::string lora_tensor_name(const std::string& module, char which);
std::string lora_module_of(const std::string& tensor_name);  // the module of such a name

// Writes both files into a directory that exists. `adapters`: A and B of every module, by those names.
void write_adapter(const std::string& directory, const LoraOptions& options, const std::string& base_model,
                   std::span<const Parameter> adapters);

}  // namespace hadal::model
