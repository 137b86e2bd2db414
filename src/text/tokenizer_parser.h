// What a tokenizer.json says, checked: every id in range, every byte of UTF-8 with a token, every merge with
// its parts.
#pragma once

#include <array>
#include <string>
#include <string_view>
#include <vector>

#include "text/added_tokens.h"
#include "text/bpe.h"
#include "text/normalizer.h"
#include "text/pre_tokenizer.h"

namespace hadal::text {

struct TokenizerParts {
  std::vector<std::string> tokens;  // [vocab_size], bytes by id; empty where no token has the id
  std::vector<AddedToken> added;
  std::array<TokenId, 256> byte_ids{};  // -1 only for bytes that UTF-8 never has (never_in_utf8)
  MergeTable merges;
  bool ignore_merges = false;  // a piece that is a token as a whole is that token, whatever the merges say
  Normalizer normalizer;
  std::unique_ptr<PreTokenizer> pre_tokenizer;
  // What the post_processor's template puts around one text.
  std::vector<TokenId> template_prefix;
  std::vector<TokenId> template_suffix;
};

// The 13 bytes without a place in UTF-8. DeepSeek-V2's vocabulary has no tokens for them.
constexpr bool never_in_utf8(size_t byte) { return byte == 0xC0 || byte == 0xC1 || byte >= 0xF5; }

// Throws Error{kBadInput} or Error{kUnsupported} naming `name` and the part.
TokenizerParts parse_tokenizer(std::string_view json, const std::string& name);

}  // namespace hadal::text
