#include "model/family.h"

#include "base/error.h"

namespace hadal::model {

namespace {

constexpr Family kFamilies[] = {
    {"DeepseekV2ForCausalLM", "deepseek_v2", parse_deepseek_v2, write_deepseek},
    {"DeepseekV3ForCausalLM", "deepseek_v3", parse_deepseek_v3,
     write_deepseek},  // V3, R1, Moonlight, GigaChat3
    {"DeepseekV3ForCausalLM", "kimi_k2", parse_deepseek_v3, write_deepseek},
    {"Glm4MoeLiteForCausalLM", "glm4_moe_lite", parse_deepseek_v3, write_deepseek},  // GLM-4.7-Flash
    {"Qwen2ForCausalLM", "qwen2", parse_qwen2, write_dense},
    {"Qwen3ForCausalLM", "qwen3", parse_qwen3, write_dense},
    {"LlamaForCausalLM", "llama", parse_llama, write_dense},
};

}  // namespace

std::span<const Family> families() { return kFamilies; }

const Family& find_family(const ConfigReader& reader) {
  const std::string model_type = reader.text("model_type", "");
  std::string name;
  if (const base::Json* names = reader.find("architectures")) {
    if (!names->is_array() || names->size() != 1 || !(*names)[0].is_string()) {
      reader.fail(ErrorCode::kBadInput, "architectures", "{} is not a list of one name",
                  base::dump_json(*names));
    }
    name = (*names)[0].get<std::string>();
  }
  if (name.empty() && model_type.empty()) {
    reader.fail(ErrorCode::kBadInput, "architectures", "missing, and model_type too");
  }
  const Family* by_name = nullptr;
  std::string known;
  for (const Family& row : kFamilies) {
    if (known.find(row.architecture) == std::string::npos) {
      known += (known.empty() ? "" : ", ") + std::string(row.architecture);
    }
    const bool same_name = name == row.architecture;
    if (same_name && by_name == nullptr) by_name = &row;
    if ((same_name || name.empty()) && (model_type == row.model_type || model_type.empty())) return row;
  }
  if (by_name != nullptr) {
    reader.fail(ErrorCode::kBadInput, "model_type", "\"{}\" contradicts architecture {} (\"{}\")", model_type,
                by_name->architecture, by_name->model_type);
  }
  if (name.empty()) {
    reader.fail(ErrorCode::kUnsupported, "model_type", "\"{}\" is not supported (known architectures: {})",
                model_type, known);
  }
  reader.fail(ErrorCode::kUnsupported, "architectures", "\"{}\" is not supported (known: {})", name, known);
}

const Family& family_of(const ModelConfig& config) {
  for (const Family& row : kFamilies) {
    if (row.architecture == config.architecture && row.model_type == config.model_type) return row;
  }
  HADAL_CHECK(false);
  return kFamilies[0];
}

}  // namespace hadal::model
