// The model families, one row each: what config.json calls them and how their fields are read and written. A
// new family is a file under families/ and a row in family.cpp.
#pragma once

#include <span>
#include <string_view>

#include "base/json.h"
#include "model/config.h"
#include "model/config_reader.h"

namespace hadal::model {

struct Family {
  std::string_view architecture;  // config.json's architectures[0]
  std::string_view model_type;
  // Fills what is particular to the family; the common fields (sizes, RoPE, tokens) are there already.
  void (*parse)(const ConfigReader& reader, ModelConfig& config);
  void (*write)(const ModelConfig& config, base::Json& json);
};

std::span<const Family> families();
// The row of a config, or an error that lists the known ones.
const Family& find_family(const ConfigReader& reader);
const Family& family_of(const ModelConfig& config);

// families/deepseek.cpp; the defaults of absent keys are those of Hugging Face's classes.
void parse_deepseek_v2(const ConfigReader& reader, ModelConfig& config);
void parse_deepseek_v3(const ConfigReader& reader, ModelConfig& config);
void write_deepseek(const ModelConfig& config, base::Json& json);
// families/dense.cpp
void parse_qwen2(const ConfigReader& reader, ModelConfig& config);
void parse_qwen3(const ConfigReader& reader, ModelConfig& config);
void parse_llama(const ConfigReader& reader, ModelConfig& config);
void write_dense(const ModelConfig& config, base::Json& json);

}  // namespace hadal::model
