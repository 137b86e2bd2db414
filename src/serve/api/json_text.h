// JSON made as text: of what is written for each token, where building a Json first would be most of the
// cost.
#pragma once

#include <string>
#include <string_view>

namespace hadal::serve::api {

// Appends `text` as a JSON string, with its quotes, as base::dump_json writes it: invalid UTF-8 becomes
// U+FFFD.
void append_json_string(std::string& out, std::string_view text);

std::string json_string(std::string_view text);

}  // namespace hadal::serve::api
