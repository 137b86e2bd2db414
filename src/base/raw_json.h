// The text of a value within JSON text, as its writer wrote it: parsed objects forget the order of their
// keys, which schemas and arguments are to keep.
#pragma once

#include <string_view>
#include <vector>

#include "base/json.h"

namespace hadal::base {

// `json` is valid JSON, an object or an array. The last member with that name; empty when there is none.
std::string_view raw_member(std::string_view json, std::string_view name);
// The elements of an array; none of anything else.
std::vector<std::string_view> raw_elements(std::string_view json);

// Those who keep the order of keys compare each with all before it: what others wrote is bounded before that.
inline constexpr size_t kMaxOrderedKeys = 1000;
// An object in `json`, at any depth, has more.
bool has_too_many_keys(const Json& json);

}  // namespace hadal::base
