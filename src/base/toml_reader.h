// TOML recipes with typed keys (toml++): a wrong type names the file and the line, and a key that no reader
// asked for is an error that names the nearest known one, so that a misspelt hyper-parameter never trains
// silently.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hadal::base {

// The candidate with the smallest edit distance to `word`, when that is small enough to be a slip (at most a
// third of the length, and at least 1 edit is allowed); empty otherwise.
std::string nearest_name(std::string_view word, std::span<const std::string> candidates);

// One table of a TOML document. Copies share the document, and the memory of which keys were asked for.
// Every get_* marks its key as known. All errors are Error{kBadInput} "[area] file:line: key: reason".
class TomlTable {
 public:
  static TomlTable load(const std::string& path, const std::string& area = "recipe");
  static TomlTable parse(std::string_view text, const std::string& name, const std::string& area = "recipe");

  // Sets "section.key=value" (value as TOML; what does not parse as a TOML value is taken as a string). An
  // unknown key is reported by reject_unknown() like one in the file.
  void apply_override(const std::string& assignment);

  bool has(const std::string& key) const;
  int64_t get_int(const std::string& key, int64_t fallback) const;
  double get_double(const std::string& key, double fallback) const;  // accepts an integer, too
  std::string get_string(const std::string& key, const std::string& fallback) const;
  bool get_bool(const std::string& key, bool fallback) const;
  std::vector<std::string> get_strings(const std::string& key, std::vector<std::string> fallback = {}) const;
  std::string require_string(const std::string& key) const;
  int64_t require_int(const std::string& key) const;

  // A sub-table; empty when the file does not have it.
  TomlTable section(const std::string& name) const;
  // The tables of an array of tables ([[name]]), in order; empty when there is none.
  std::vector<TomlTable> tables(const std::string& name) const;

  // Call after all reads: throws for the first key (of this table and everything below) that was never asked
  // for.
  void reject_unknown() const;

  // Throws Error{kBadInput} about a value of this table: "[area] file:line: key: reason".
  [[noreturn]] void fail(const std::string& key, const std::string& reason) const;

  // This table as canonical TOML text (keys sorted), overrides included: for records and for hashing.
  std::string dump() const;
  const std::string& name() const;  // the file

 private:
  struct Document;
  TomlTable(std::shared_ptr<Document> document, std::string path, const void* table)
      : document_(std::move(document)), path_(std::move(path)), table_(table) {}

  std::shared_ptr<Document> document_;
  std::string path_;             // "" for the root, "a.b" below; array elements share one path
  const void* table_ = nullptr;  // toml::table, or null for a section that the file does not have
};

}  // namespace hadal::base
