// Writes tokenizer.json in the form that Hugging Face's library reads.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"
#include "text/tokenizer_parser.h"

namespace hadal::text {

inline constexpr int32_t kMaxTrainedVocab = 1 << 20;

// A vocabulary's rules as pairs of ids, the first rank first.
std::vector<std::pair<TokenId, TokenId>> merges_by_rank(const MergeTable& merges);

struct Vocabulary {
  std::vector<std::string> tokens;  // [vocab_size]: control tokens as text, then tokens as bytes
  size_t control_tokens = 0;        // how many come first
  std::vector<std::pair<TokenId, TokenId>> merges;  // in order of rank
};

// The "pre_tokenizer" value of DeepSeek-V3.
base::Json deepseek_v3_pre_tokenizer();

std::string write_tokenizer_json(const Vocabulary& vocabulary);

// The same for any tokenizer (one from a GGUF file, say).
std::string write_tokenizer_json(const TokenizerParts& parts);

}  // namespace hadal::text
