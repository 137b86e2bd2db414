#include "base/json.h"

#include "base/error.h"
#include "base/files.h"

namespace hadal::base {

Json parse_json(std::string_view text, const std::string& what, int max_depth) {
  // The depth bound comes first, in one pass without recursion: the parser never sees deeper input.
  int depth = 0;
  bool in_string = false;
  for (size_t i = 0; i < text.size(); ++i) {
    const char c = text[i];
    if (in_string) {
      if (c == '\\')
        ++i;
      else if (c == '"')
        in_string = false;
    } else if (c == '"') {
      in_string = true;
    } else if (c == '{' || c == '[') {
      if (++depth > max_depth) {
        throw_error(ErrorCode::kBadInput, "[{}] byte {}: JSON nested deeper than {} levels", what, i,
                    max_depth);
      }
    } else if (c == '}' || c == ']') {
      --depth;
    }
  }
  try {
    return Json::parse(text);
  } catch (const nlohmann::json::parse_error& e) {
    throw_error(ErrorCode::kBadInput, "[{}] byte {}: not valid JSON", what, e.byte);
  } catch (const nlohmann::json::exception& e) {
    throw_error(ErrorCode::kBadInput, "[{}] not valid JSON: {}", what, e.what());
  }
}

Json read_json_file(const std::string& path) { return parse_json(read_file(path), path); }

std::string dump_json(const Json& value, int indent) {
  return value.dump(indent, ' ', false, Json::error_handler_t::replace);
}

}  // namespace hadal::base
