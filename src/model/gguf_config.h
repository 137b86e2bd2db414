// A GGUF file's metadata as the config.json that it stands for, and the other way. Architectures: deepseek2
// (V2, V3 and what reuses them), qwen2, qwen3, llama.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "format/gguf.h"
#include "format/gguf_writer.h"
#include "model/config.h"

namespace hadal::model {

// parse_config() reads the result. Of the architecture "llama", whose q and k lie in RoPE's interleaved
// order, it says "rope_interleave": true. Throws Error naming file and key: a missing key, an unknown
// architecture, a feature that Hadal does not have.
base::Json config_from_gguf(const format::GgufFile& file);

// general.architecture for a model ("deepseek2"); throws Error{kUnsupported} for one that GGUF cannot hold.
std::string_view gguf_architecture(const ModelConfig& config);

// Writes general.architecture and the keys "<architecture>.*": what llama.cpp needs to run the model.
// `layers` counts the blocks of the file, with an MTP module's or without. Throws Error{kUnsupported} for
// what GGUF has no key for.
void config_to_gguf(const ModelConfig& config, int64_t layers, format::GgufWriter& writer);

// What GGUF stores for Llama 3's RoPE scaling: "rope_freqs.weight" [head_dim / 2], by which each frequency is
// divided.
inline constexpr const char* kRopeFreqs = "rope_freqs.weight";
std::vector<float> llama3_rope_factors(const Llama3Scaling& scaling, int64_t head_dim, double rope_theta);

}  // namespace hadal::model
