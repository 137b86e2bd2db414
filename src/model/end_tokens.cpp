#include "model/end_tokens.h"

#include "base/error.h"
#include "base/files.h"
#include "base/json.h"

namespace hadal::model {

std::vector<text::TokenId> read_end_tokens(const std::string& model_directory, int64_t vocab_size) {
  for (const char* name : {"generation_config.json", "config.json"}) {
    const std::string path = model_directory + "/" + name;
    if (!base::file_exists(path)) continue;
    const base::Json config = base::read_json_file(path);
    if (!config.is_object()) throw_error(ErrorCode::kBadInput, "[config] {}: not a JSON object", path);
    const auto eos = config.find("eos_token_id");
    if (eos == config.end() || eos->is_null()) continue;
    std::vector<text::TokenId> ids;
    for (const auto& id : eos->is_array() ? *eos : base::Json::array({*eos})) {
      if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocab_size)) {
        throw_error(ErrorCode::kBadInput,
                    "[config] {}: eos_token_id: {} is not a token of a vocabulary of {}", path,
                    base::dump_json(id), vocab_size);
      }
      ids.push_back(id.get<text::TokenId>());
    }
    return ids;
  }
  return {};
}

}  // namespace hadal::model
