// What a checkpoint holds, from its config and the headers of its files alone: a 700 GB model is listed
// without reading a weight. Hugging Face directories and GGUF files.
#pragma once

#include <cstdint>
#include <string>

#include "base/json.h"
#include "model/config.h"
#include "model/footprint.h"

namespace hadal::model {

struct Inventory {
  std::string path;
  std::string container;  // "safetensors" or "GGUF"
  ModelConfig config;
  int64_t files = 0;
  int64_t file_bytes = 0;  // of the weight files
  int64_t tensors = 0;
  Footprint stored;  // parameters and bytes of the tensors; `active` is the config's
};

// Throws Error naming file and tensor: no such model, a missing shard, a bad header, an unsupported config.
Inventory read_inventory(const std::string& path);

}  // namespace hadal::model
