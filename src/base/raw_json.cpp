#include "base/raw_json.h"

#include <algorithm>
#include <string>

namespace hadal::base {

namespace {

constexpr std::string_view kBlank = " \t\r\n";
constexpr std::string_view kByteOrderMark = "\xEF\xBB\xBF";  // which the parser passes over, too

// Walks over JSON that was checked before: what is not as expected ends the walk.
class Walker {
 public:
  explicit Walker(std::string_view json) : rest_(json) {
    if (rest_.starts_with(kByteOrderMark)) rest_.remove_prefix(kByteOrderMark.size());
    skip_blank();
  }

  bool take(char c) {
    if (rest_.empty() || rest_[0] != c) return false;
    rest_.remove_prefix(1);
    skip_blank();
    return true;
  }

  std::string_view value() {
    const std::string_view begin = rest_;
    int depth = 0;
    do {
      if (rest_.empty()) return {};
      const char c = rest_[0];
      if (c == '"') {
        skip_string();
      } else if (c == '{' || c == '[') {
        ++depth;
        rest_.remove_prefix(1);
      } else if (c == '}' || c == ']') {
        --depth;
        rest_.remove_prefix(1);
      } else {
        rest_.remove_prefix(
            std::min(rest_.size(), std::max<size_t>(1, rest_.find_first_of(",]}[{\" \t\r\n:"))));
      }
    } while (depth > 0);
    const std::string_view found = begin.substr(0, begin.size() - rest_.size());
    skip_blank();
    return found;
  }

 private:
  void skip_blank() { rest_.remove_prefix(std::min(rest_.find_first_not_of(kBlank), rest_.size())); }
  void skip_string() {
    size_t at = 1;
    while (at < rest_.size() && rest_[at] != '"') at += rest_[at] == '\\' ? 2 : 1;
    rest_.remove_prefix(std::min(at + 1, rest_.size()));
  }

  std::string_view rest_;
};

bool is_name(std::string_view raw, std::string_view name) {
  if (raw.size() < 2) return false;
  if (raw.find('\\') == std::string_view::npos) return raw.substr(1, raw.size() - 2) == name;
  const Json key = Json::parse(raw, nullptr, false);
  return key.is_string() && key.get_ref<const std::string&>() == name;
}

}  // namespace

bool has_too_many_keys(const Json& json) {
  if (json.is_object() && json.size() > kMaxOrderedKeys) return true;
  return json.is_structured() && std::any_of(json.begin(), json.end(), has_too_many_keys);
}

std::string_view raw_member(std::string_view json, std::string_view name) {
  Walker walker(json);
  std::string_view found;
  if (!walker.take('{')) return {};
  do {
    const std::string_view key = walker.value();
    if (!walker.take(':')) break;
    const std::string_view value = walker.value();
    if (is_name(key, name)) found = value;
  } while (walker.take(','));
  return found;
}

std::vector<std::string_view> raw_elements(std::string_view json) {
  Walker walker(json);
  std::vector<std::string_view> elements;
  if (!walker.take('[') || walker.take(']')) return elements;
  do {
    elements.push_back(walker.value());
  } while (walker.take(','));
  return elements;
}

}  // namespace hadal::base
