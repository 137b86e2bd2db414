#include "text/added_tokens.h"

#include <algorithm>
#include <cstdint>

namespace hadal::text {

AddedTokenMatcher::AddedTokenMatcher(std::vector<AddedToken> tokens)
    : tokens_(std::move(tokens)), starts_(256) {
  std::erase_if(tokens_, [](const AddedToken& token) { return token.content.empty(); });
  std::sort(tokens_.begin(), tokens_.end(),
            [](const AddedToken& a, const AddedToken& b) { return a.content < b.content; });
  for (const AddedToken& token : tokens_) starts_[static_cast<uint8_t>(token.content[0])] = true;
}

const AddedToken* AddedTokenMatcher::longest_at(std::string_view text) const {
  // Narrow the sorted range to the tokens that begin as the text does, one byte at a time.
  const AddedToken* best = nullptr;
  auto low = tokens_.begin();
  auto high = tokens_.end();
  for (size_t depth = 0; depth < text.size() && low != high; ++depth) {
    const auto byte = static_cast<uint8_t>(text[depth]);
    const auto at = [depth](const AddedToken& token) {
      return token.content.size() > depth ? static_cast<int>(static_cast<uint8_t>(token.content[depth])) : -1;
    };
    low = std::partition_point(low, high, [&](const AddedToken& token) { return at(token) < byte; });
    high = std::partition_point(low, high, [&](const AddedToken& token) { return at(token) <= byte; });
    if (low != high && low->content.size() == depth + 1) best = &*low;
  }
  return best;
}

AddedTokenMatcher::Found AddedTokenMatcher::next(std::string_view text, size_t from) const {
  if (tokens_.empty()) return {};
  for (size_t i = from; i < text.size(); ++i) {
    if (!starts_[static_cast<uint8_t>(text[i])]) continue;
    if (const AddedToken* token = longest_at(text.substr(i))) return {i, token};
  }
  return {};
}

}  // namespace hadal::text
