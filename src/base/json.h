// JSON for configuration, tokenizers and the API (nlohmann), with bounds that untrusted input cannot pass.
#pragma once

#include <nlohmann/json.hpp>
#include <string>
#include <string_view>

namespace hadal::base {

using Json = nlohmann::json;

inline constexpr int kMaxJsonDepth = 64;

// Parses `text`. Throws Error{kBadInput} "[what] byte N: reason" for bad JSON or nesting over `max_depth`.
Json parse_json(std::string_view text, const std::string& what, int max_depth = kMaxJsonDepth);

// Reads and parses a file; the path is the name in errors.
Json read_json_file(const std::string& path);

// Compact text; invalid UTF-8 in strings becomes U+FFFD instead of an exception.
std::string dump_json(const Json& value, int indent = -1);

}  // namespace hadal::base
