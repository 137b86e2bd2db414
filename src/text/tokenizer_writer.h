// Writes the tokenizer.json of a trained vocabulary in the form that Hugging Face's library reads.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "text/tokenizer.h"

namespace hadal::text {

inline constexpr int32_t kMaxTrainedVocab = 1 << 20;

struct Vocabulary {
  std::vector<std::string> tokens;  // [vocab_size]: control tokens as text, then tokens as bytes
  size_t control_tokens = 0;        // how many come first
  std::vector<std::pair<TokenId, TokenId>> merges;  // in order of rank
};

// The "pre_tokenizer" value of DeepSeek-V3.
base::Json deepseek_v3_pre_tokenizer();

std::string write_tokenizer_json(const Vocabulary& vocabulary);

}  // namespace hadal::text
