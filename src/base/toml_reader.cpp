#include "base/toml_reader.h"

#include <toml++/toml.h>

#include <algorithm>
#include <set>
#include <sstream>

#include "base/error.h"
#include "base/files.h"

namespace hadal::base {

namespace {

// Edits (insert, remove, change, swap neighbours) that turn a into b.
size_t edit_distance(std::string_view a, std::string_view b) {
  std::vector<std::vector<size_t>> d(a.size() + 1, std::vector<size_t>(b.size() + 1));
  for (size_t i = 0; i <= a.size(); ++i) d[i][0] = i;
  for (size_t j = 0; j <= b.size(); ++j) d[0][j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    for (size_t j = 1; j <= b.size(); ++j) {
      d[i][j] = std::min({d[i - 1][j] + 1, d[i][j - 1] + 1, d[i - 1][j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        d[i][j] = std::min(d[i][j], d[i - 2][j - 2] + 1);
    }
  }
  return d[a.size()][b.size()];
}

std::string join_path(const std::string& path, std::string_view key) {
  return path.empty() ? std::string(key) : path + "." + std::string(key);
}

std::string located(const std::string& name, const toml::node* node) {
  if (node == nullptr || node->source().begin.line == 0) return name;
  return fmt::format("{}:{}", name, node->source().begin.line);
}

[[noreturn]] void wrong_type(const std::string& area, const std::string& name, const toml::node& node,
                             const std::string& path, const char* wanted) {
  std::ostringstream type;
  type << node.type();
  throw_error(ErrorCode::kBadInput, "[{}] {}: {}: expected {}, found {}", area, located(name, &node), path,
              wanted, type.str());
}

const toml::node* find(const void* table, const std::string& key) {
  return table == nullptr ? nullptr : static_cast<const toml::table*>(table)->get(key);
}

}  // namespace

std::string nearest_name(std::string_view word, std::span<const std::string> candidates) {
  std::string best;
  size_t best_distance = std::max<size_t>(1, word.size() / 3) + 1;
  for (const std::string& candidate : candidates) {
    const size_t distance = edit_distance(word, candidate);
    if (distance < best_distance) {
      best_distance = distance;
      best = candidate;
    }
  }
  return best;
}

struct TomlTable::Document {
  std::string name;
  std::string area;
  toml::table root;
  std::set<std::string> known;  // paths that a reader asked for
};

TomlTable TomlTable::load(const std::string& path, const std::string& area) {
  return parse(read_file(path), path, area);
}

TomlTable TomlTable::parse(std::string_view text, const std::string& name, const std::string& area) {
  auto document = std::make_shared<Document>();
  document->name = name;
  document->area = area;
  try {
    document->root = toml::parse(text, name);
  } catch (const toml::parse_error& e) {
    throw_error(ErrorCode::kBadInput, "[{}] {}:{}: {}", area, name, e.source().begin.line, e.description());
  }
  const void* root = &document->root;
  return TomlTable(std::move(document), "", root);
}

void TomlTable::apply_override(const std::string& assignment) {
  const size_t equals = assignment.find('=');
  if (equals == std::string::npos || equals == 0)
    throw_error(ErrorCode::kBadInput, "[{}] override \"{}\": write section.key=value", document_->area,
                assignment);
  std::string key = assignment.substr(0, equals);
  const std::string value = assignment.substr(equals + 1);
  toml::table parsed;
  try {
    parsed = toml::parse("value = " + value);
  } catch (const toml::parse_error&) {
    parsed.insert_or_assign("value", value);
  }
  if (parsed.size() != 1)
    throw_error(ErrorCode::kBadInput, "[{}] override \"{}\": one value only", document_->area, assignment);
  toml::table* table = &document_->root;
  for (size_t dot = key.find('.'); dot != std::string::npos; dot = key.find('.')) {
    const std::string section = key.substr(0, dot);
    key.erase(0, dot + 1);
    if (!table->contains(section)) table->insert(section, toml::table{});
    table = table->get(section)->as_table();
    if (table == nullptr)
      throw_error(ErrorCode::kBadInput, "[{}] override \"{}\": {} is not a section", document_->area,
                  assignment, section);
  }
  if (key.empty())
    throw_error(ErrorCode::kBadInput, "[{}] override \"{}\": empty key", document_->area, assignment);
  parsed.get("value")->visit([&](auto&& node) { table->insert_or_assign(key, node); });
}

bool TomlTable::has(const std::string& key) const {
  document_->known.insert(join_path(path_, key));
  return find(table_, key) != nullptr;
}

int64_t TomlTable::get_int(const std::string& key, int64_t fallback) const {
  if (!has(key)) return fallback;
  const toml::node* node = find(table_, key);
  if (!node->is_integer())
    wrong_type(document_->area, document_->name, *node, join_path(path_, key), "an integer");
  return **node->as_integer();
}

double TomlTable::get_double(const std::string& key, double fallback) const {
  if (!has(key)) return fallback;
  const toml::node* node = find(table_, key);
  if (node->is_integer()) return static_cast<double>(**node->as_integer());
  if (!node->is_floating_point())
    wrong_type(document_->area, document_->name, *node, join_path(path_, key), "a number");
  return **node->as_floating_point();
}

std::string TomlTable::get_string(const std::string& key, const std::string& fallback) const {
  if (!has(key)) return fallback;
  const toml::node* node = find(table_, key);
  if (!node->is_string())
    wrong_type(document_->area, document_->name, *node, join_path(path_, key), "a string");
  return **node->as_string();
}

bool TomlTable::get_bool(const std::string& key, bool fallback) const {
  if (!has(key)) return fallback;
  const toml::node* node = find(table_, key);
  if (!node->is_boolean())
    wrong_type(document_->area, document_->name, *node, join_path(path_, key), "true or false");
  return **node->as_boolean();
}

std::vector<std::string> TomlTable::get_strings(const std::string& key,
                                                std::vector<std::string> fallback) const {
  if (!has(key)) return fallback;
  const toml::node* node = find(table_, key);
  if (!node->is_array())
    wrong_type(document_->area, document_->name, *node, join_path(path_, key), "an array of strings");
  std::vector<std::string> out;
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_string())
      wrong_type(document_->area, document_->name, element, join_path(path_, key), "a string");
    out.push_back(**element.as_string());
  }
  return out;
}

std::string TomlTable::require_string(const std::string& key) const {
  if (!has(key)) fail(key, "is missing");
  return get_string(key, "");
}

int64_t TomlTable::require_int(const std::string& key) const {
  if (!has(key)) fail(key, "is missing");
  return get_int(key, 0);
}

TomlTable TomlTable::section(const std::string& name) const {
  const std::string path = join_path(path_, name);
  if (!has(name)) return TomlTable(document_, path, nullptr);
  const toml::node* node = find(table_, name);
  if (!node->is_table()) wrong_type(document_->area, document_->name, *node, path, "a table");
  return TomlTable(document_, path, node->as_table());
}

std::vector<TomlTable> TomlTable::tables(const std::string& name) const {
  const std::string path = join_path(path_, name);
  std::vector<TomlTable> out;
  if (!has(name)) return out;
  const toml::node* node = find(table_, name);
  if (!node->is_array()) wrong_type(document_->area, document_->name, *node, path, "an array of tables");
  for (const toml::node& element : *node->as_array()) {
    if (!element.is_table()) wrong_type(document_->area, document_->name, element, path, "a table");
    out.push_back(TomlTable(document_, path, element.as_table()));
  }
  return out;
}

void TomlTable::reject_unknown() const {
  if (table_ == nullptr) return;
  for (const auto& [key, node] : *static_cast<const toml::table*>(table_)) {
    const std::string path = join_path(path_, key.str());
    if (!document_->known.contains(path)) {
      std::vector<std::string> siblings;  // the known keys of the same table, by their last part
      const std::string prefix = path_.empty() ? "" : path_ + ".";
      for (const std::string& known : document_->known) {
        if (!known.starts_with(prefix)) continue;
        std::string last = known.substr(prefix.size());
        if (!last.empty() && last.find('.') == std::string::npos) siblings.push_back(std::move(last));
      }
      const std::string nearest = nearest_name(key.str(), siblings);
      throw_error(ErrorCode::kBadInput, "[{}] {}: unknown key {}{}", document_->area,
                  located(document_->name, &node), path,
                  nearest.empty() ? "" : "; did you mean " + prefix + nearest + "?");
    }
    if (node.is_table()) TomlTable(document_, path, node.as_table()).reject_unknown();
    if (const toml::array* array = node.as_array()) {
      for (const toml::node& element : *array)
        if (element.is_table()) TomlTable(document_, path, element.as_table()).reject_unknown();
    }
  }
}

void TomlTable::fail(const std::string& key, const std::string& reason) const {
  const toml::node* node = find(table_, key);
  if (node == nullptr) node = static_cast<const toml::table*>(table_);
  throw_error(ErrorCode::kBadInput, "[{}] {}: {} {}", document_->area, located(document_->name, node),
              join_path(path_, key), reason);
}

std::string TomlTable::dump() const {
  std::ostringstream out;
  if (table_ != nullptr) out << *static_cast<const toml::table*>(table_);
  return out.str();
}

const std::string& TomlTable::name() const { return document_->name; }

}  // namespace hadal::base
