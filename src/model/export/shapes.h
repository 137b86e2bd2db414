// The shapes of known models, as config.json, for synthetic checkpoints of true shape.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace hadal::model {

struct KnownShape {
  std::string_view name;  // "v2-lite"
  std::string_view what;  // "DeepSeek-V2-Lite: 16 B parameters, 2.4 B active"
  std::string_view config;
};

const std::vector<KnownShape>& known_shapes();
// Throws Error{kBadInput} that lists the known ones.
base::Json shape_config(const std::string& name);

}  // namespace hadal::model
