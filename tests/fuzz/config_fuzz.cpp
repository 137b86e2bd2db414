// Any bytes as a config.json: an Error, or a config whose sizes do not overflow and that survives being
// written.
#include <cstdint>
#include <cstdlib>
#include <string_view>

#include "base/error.h"
#include "base/json.h"
#include "model/config.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hadal;
  model::ModelConfig config;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    config = model::parse_config(base::parse_json(text, "fuzz"), "fuzz");
  } catch (const Error&) {
    return 0;
  }
  if (config.active_matmul_parameters() <= 0) std::abort();
  // What Hadal writes it must be able to read: an Error here is a crash.
  const base::Json written = model::config_to_json(config);
  const base::Json again = model::config_to_json(model::parse_config(written, "written"));
  if (written != again) std::abort();
  return 0;
}
