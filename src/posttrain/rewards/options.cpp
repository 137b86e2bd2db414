#include "posttrain/rewards/options.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal::posttrain {

OptionReader::OptionReader(std::string_view reward, const base::Json& options)
    : reward_(reward), options_(options) {
  if (!options.is_object() && !options.is_null())
    throw_error(ErrorCode::kBadInput, "[reward] {}: options are {}, not an object", reward,
                base::dump_json(options));
}

const base::Json* OptionReader::find(const std::string& key) {
  known_.push_back(key);
  if (!options_.is_object()) return nullptr;
  const auto found = options_.find(key);
  return found == options_.end() ? nullptr : &*found;
}

double OptionReader::number(const std::string& key, double fallback, double low, double high) {
  const base::Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_number()) fail(key, base::dump_json(*value) + " is no number");
  const double out = value->get<double>();
  if (!(out >= low && out <= high)) fail(key, fmt::format("{} is not within [{}, {}]", out, low, high));
  return out;
}

int64_t OptionReader::whole(const std::string& key, int64_t fallback, int64_t low, int64_t high) {
  const double out =
      number(key, static_cast<double>(fallback), static_cast<double>(low), static_cast<double>(high));
  if (out != std::floor(out)) fail(key, fmt::format("{} is not whole", out));
  return static_cast<int64_t>(out);
}

std::string OptionReader::text(const std::string& key, const std::string& fallback) {
  const base::Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_string()) fail(key, base::dump_json(*value) + " is no string");
  return value->get<std::string>();
}

bool OptionReader::flag(const std::string& key, bool fallback) {
  const base::Json* value = find(key);
  if (value == nullptr) return fallback;
  if (!value->is_boolean()) fail(key, base::dump_json(*value) + " is neither true nor false");
  return value->get<bool>();
}

void OptionReader::fail(const std::string& key, const std::string& reason) const {
  throw_error(ErrorCode::kBadInput, "[reward] {}: option {}: {}", reward_, key, reason);
}

void OptionReader::reject_unknown() const {
  if (!options_.is_object()) return;
  for (const auto& [key, value] : options_.items()) {
    if (std::find(known_.begin(), known_.end(), key) != known_.end()) continue;
    throw_error(ErrorCode::kBadInput, "[reward] {}: no option '{}'{}", reward_, key,
                known_.empty() ? "; it has none" : fmt::format("; there are {}", fmt::join(known_, ", ")));
  }
}

}  // namespace hadal::posttrain
