// The options of a reward, checked: reads an object's fields, and tells of those that nobody read.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"

namespace hadal::posttrain {

class OptionReader {
 public:
  // Throws Error{kBadInput} unless `options` is an object (or null: none). `options` must outlive this.
  OptionReader(std::string_view reward, const base::Json& options);

  // Each throws Error{kBadInput} "[reward] NAME: option KEY: reason".
  double number(const std::string& key, double fallback, double low, double high);
  int64_t whole(const std::string& key, int64_t fallback, int64_t low, int64_t high);
  std::string text(const std::string& key, const std::string& fallback);
  bool flag(const std::string& key, bool fallback);
  [[noreturn]] void fail(const std::string& key, const std::string& reason) const;

  // After all reads: throws for an option that was never read.
  void reject_unknown() const;

 private:
  const base::Json* find(const std::string& key);

  std::string reward_;
  const base::Json& options_;
  std::vector<std::string> known_;
};

}  // namespace hadal::posttrain
