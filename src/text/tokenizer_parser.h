// What a tokenizer.json says, checked: every id in range, every byte with a token, every merge with its
// parts.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/pre_tokenizer.h"

namespace hadal::text {

struct TokenizerParts {
  std::vector<std::string> tokens;  // [vocab_size], bytes by id; empty where no token has the id
  std::vector<AddedToken> added;
  std::array<TokenId, 256> byte_ids{};
  MergeTable merges;
  bool ignore_merges = false;  // a piece that is a token as a whole is that token, whatever the merges say
  std::unique_ptr<PreTokenizer> pre_tokenizer;
};

// Throws Error{kBadInput} or Error{kUnsupported} naming `name` and the part.
TokenizerParts parse_tokenizer(std::string_view json, const std::string& name);

}  // namespace hadal::text
