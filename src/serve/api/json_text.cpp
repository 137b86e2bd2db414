#include "serve/api/json_text.h"

#include <algorithm>

#include "base/json.h"

namespace hadal::serve::api {

namespace {

// Stands for itself in a JSON string, and for a whole character.
bool is_plain(char c) { return c >= ' ' && c <= '~' && c != '"' && c != '\\'; }

}  // namespace

void append_json_string(std::string& out, std::string_view text) {
  if (std::all_of(text.begin(), text.end(), is_plain)) {
    out += '"';
    out += text;
    out += '"';
  } else {
    out += base::dump_json(base::Json(text));
  }
}

std::string json_string(std::string_view text) {
  std::string out;
  append_json_string(out, text);
  return out;
}

}  // namespace hadal::serve::api
