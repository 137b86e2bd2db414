// Finds added tokens (control tokens such as <｜User｜>) in text: the leftmost, and of those the longest.
#pragma once

#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::text {

struct AddedToken {
  TokenId id = -1;
  std::string content;
  bool special = false;     // skipped by decode(skip_special)
  bool normalized = false;  // looked for after the tokens that are not, as Hugging Face's library does
};

class AddedTokenMatcher {
 public:
  AddedTokenMatcher() = default;
  explicit AddedTokenMatcher(std::vector<AddedToken> tokens);

  bool empty() const { return tokens_.empty(); }

  // The next token in text[from..): its place, or npos and null when there is none.
  struct Found {
    size_t position = std::string_view::npos;
    const AddedToken* token = nullptr;
  };
  Found next(std::string_view text, size_t from) const;

 private:
  const AddedToken* longest_at(std::string_view text) const;

  std::vector<AddedToken> tokens_;  // sorted by content, without empty ones
  std::vector<bool> starts_;        // [256]: some token begins with this byte
};

}  // namespace hadal::text
