#include "cli/token_file.h"

#include "base/error.h"
#include "base/json.h"

namespace hadal::cli {

std::vector<int32_t> read_tokens(const std::string& path, int64_t vocab_size, size_t least, size_t most) {
  const base::Json json = base::read_json_file(path);
  if (!json.is_array()) throw_error(ErrorCode::kBadInput, "[tokens] {}: not a JSON array of token ids", path);
  if (json.size() < least || json.size() > most) {
    throw_error(ErrorCode::kBadInput, "[tokens] {}: {} ids, expected {} to {}", path, json.size(), least,
                most);
  }
  std::vector<int32_t> tokens;
  tokens.reserve(json.size());
  for (const auto& id : json) {
    if (!id.is_number_unsigned() || id.get<uint64_t>() >= static_cast<uint64_t>(vocab_size)) {
      throw_error(ErrorCode::kBadInput, "[tokens] {}: item {}: {} is not a token of a vocabulary of {}", path,
                  tokens.size(), base::dump_json(id), vocab_size);
    }
    tokens.push_back(id.get<int32_t>());
  }
  return tokens;
}

}  // namespace hadal::cli
