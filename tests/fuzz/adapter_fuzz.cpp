// Any bytes as an adapter: adapter_config.json, a zero byte and adapter_model.safetensors. An Error, or parts
// whose numbers fit their shapes; then compared with a model.
#include <stdlib.h>

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>
#include <string_view>

#include "base/error.h"
#include "model/lora.h"

using namespace hadal;

namespace {

// A folder in memory that lasts as long as the process.
const std::string& folder() {
  static const std::string path = [] {
    std::string pattern = "/dev/shm/hadal-fuzz-XXXXXX";
    if (::mkdtemp(pattern.data()) == nullptr) std::abort();
    return pattern;
  }();
  static const bool registered = std::atexit([] {
                                   std::error_code ignored;
                                   std::filesystem::remove_all(folder(), ignored);
                                 }) == 0;
  static_cast<void>(registered);
  return path;
}

void write(const std::string& name, std::string_view bytes) {
  std::ofstream(folder() + name, std::ios::binary)
      .write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const std::string_view input(reinterpret_cast<const char*>(data), size);
  const size_t zero = std::min(input.find('\0'), input.size());
  write("/adapter_config.json", input.substr(0, zero));
  write("/adapter_model.safetensors", input.substr(std::min(zero + 1, input.size())));
  model::ModelConfig config;
  config.architecture = "Qwen2ForCausalLM";
  config.attention = model::AttentionKind::kGqa;
  config.vocab_size = 8;
  config.hidden_size = 4;
  config.intermediate_size = 6;
  config.num_hidden_layers = config.num_attention_heads = config.num_key_value_heads = 1;
  config.head_dim = 4;
  try {
    const auto adapter = model::Adapter::load(folder());
    for (const auto& [name, part] : adapter.parts()) {
      if (static_cast<int64_t>(part.a.size()) != part.rank * part.module.cols) std::abort();
      if (static_cast<int64_t>(part.b.size()) != part.rank * part.module.rows) std::abort();
    }
    adapter.check_fits(config, "fuzz");
  } catch (const Error&) {
  }
  return 0;
}
