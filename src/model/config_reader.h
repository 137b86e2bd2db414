// Typed access to config.json, with errors that name the file, the key and the value. Shared by the families.
#pragma once

#include <string>
#include <utility>

#include "base/error.h"
#include "base/json.h"

namespace hadal::model {

// Bounds far above any model that exists, so that no product of sizes can overflow 63 bits.
inline constexpr int64_t kMaxVocab = 1 << 24;
inline constexpr int64_t kMaxWidth = 1 << 18;  // hidden and intermediate sizes
inline constexpr int64_t kMaxHeads = 1 << 12;
inline constexpr int64_t kMaxHeadDim = 1 << 13;
inline constexpr int64_t kMaxLayers = 1 << 10;
inline constexpr int64_t kMaxExperts = 1 << 12;
inline constexpr int64_t kMaxPositions = int64_t{1} << 30;

// One JSON object. A null counts as absent. Keeps references to both arguments.
class ConfigReader {
 public:
  ConfigReader(const base::Json& json, const std::string& where, std::string prefix = "")
      : json_(json), where_(where), prefix_(std::move(prefix)) {}

  const base::Json* find(const char* key) const {
    const auto it = json_.find(key);
    return it == json_.end() || it->is_null() ? nullptr : &*it;
  }

  template <typename... Args>
  [[noreturn]] void fail(ErrorCode code, const char* key, fmt::format_string<Args...> format,
                         Args&&... args) const {
    throw_error(code, "[config] {}: {}{}: {}", where_, prefix_, key,
                fmt::format(format, std::forward<Args>(args)...));
  }

  int64_t integer(const char* key, int64_t low, int64_t high) const {
    const base::Json* value = find(key);
    if (value == nullptr) fail(ErrorCode::kBadInput, key, "missing");
    return integer_in(key, *value, low, high);
  }
  int64_t integer(const char* key, int64_t low, int64_t high, int64_t fallback) const {
    const base::Json* value = find(key);
    return value == nullptr ? fallback : integer_in(key, *value, low, high);
  }

  // A finite number in (low, high], or in [low, high].
  enum class Bound { kExclusive, kInclusive };
  double number(const char* key, double low, double high, double fallback,
                Bound bound = Bound::kExclusive) const {
    const base::Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_number()) {
      fail(ErrorCode::kBadInput, key, "{} is not a number", base::dump_json(*value));
    }
    const double number = value->get<double>();
    const bool above = bound == Bound::kInclusive ? number >= low : number > low;
    if (!(above && number <= high)) {
      fail(ErrorCode::kBadInput, key, "{} is not in {}{}, {}]", base::dump_json(*value),
           bound == Bound::kInclusive ? '[' : '(', low, high);
    }
    return number;
  }

  bool boolean(const char* key, bool fallback) const {
    const base::Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_boolean()) {
      fail(ErrorCode::kBadInput, key, "{} is not true or false", base::dump_json(*value));
    }
    return value->get<bool>();
  }

  std::string text(const char* key, const std::string& fallback) const {
    const base::Json* value = find(key);
    if (value == nullptr) return fallback;
    if (!value->is_string()) fail(ErrorCode::kBadInput, key, "{} is not a string", base::dump_json(*value));
    return value->get<std::string>();
  }

  template <typename Rows, typename Enum>
  Enum choice(const char* key, const Rows& rows, Enum fallback) const {
    if (find(key) == nullptr) return fallback;
    const std::string name = text(key, "");
    std::string known;
    for (const auto& row : rows) {
      if (row.name == name) return row.value;
      known += (known.empty() ? "" : ", ") + std::string(row.name);
    }
    fail(ErrorCode::kUnsupported, key, "\"{}\" is not supported (known: {})", name, known);
  }

 private:
  int64_t integer_in(const char* key, const base::Json& value, int64_t low, int64_t high) const {
    if (!value.is_number_integer()) {
      fail(ErrorCode::kBadInput, key, "{} is not an integer", base::dump_json(value));
    }
    const bool too_big = value.is_number_unsigned() && value.get<uint64_t>() > static_cast<uint64_t>(high);
    if (too_big || value.get<int64_t>() < low || value.get<int64_t>() > high) {
      fail(ErrorCode::kBadInput, key, "{} is not in {}..{}", base::dump_json(value), low, high);
    }
    return value.get<int64_t>();
  }

  const base::Json& json_;
  const std::string& where_;
  std::string prefix_;
};

}  // namespace hadal::model
