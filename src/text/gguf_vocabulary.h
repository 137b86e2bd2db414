// A tokenizer as a GGUF file's metadata has it (keys tokenizer.ggml.*, as llama.cpp writes them). The file
// only names the splitting patterns; what stands behind a name is here, one row each. Reading the file is
// format/gguf's.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::text {

// Values of tokenizer.ggml.token_type.
enum class GgufTokenType : int32_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

struct GgufVocabulary {
  std::string model = "gpt2";              // tokenizer.ggml.model: only byte-level BPE is read
  std::string pre;                         // tokenizer.ggml.pre
  std::vector<std::string> tokens;         // tokenizer.ggml.tokens, [vocab_size]
  std::vector<int32_t> token_types;        // tokenizer.ggml.token_type, [vocab_size]
  std::vector<std::string> merges;         // tokenizer.ggml.merges: "left right", the first rank first
  std::optional<TokenId> bos_id = {};      // tokenizer.ggml.bos_token_id
  std::optional<TokenId> eos_id = {};      // tokenizer.ggml.eos_token_id
  std::optional<TokenId> padding_id = {};  // tokenizer.ggml.padding_token_id
  std::optional<bool> add_bos = {};        // tokenizer.ggml.add_bos_token
  std::optional<bool> add_eos = {};        // tokenizer.ggml.add_eos_token
};

// Throws Error{kUnsupported} for a model that is not "gpt2" and for an unknown `pre` (the message lists the
// known), and Error{kBadInput} as Tokenizer::parse does. add_bos and add_eos become template_prefix and
// template_suffix. `name` is the file in errors.
std::shared_ptr<const Tokenizer> tokenizer_from_gguf(const GgufVocabulary& vocabulary,
                                                     const std::string& name);

// The other way, for an embedding of `vocab_size` rows (at least the tokenizer's size). bos_id, eos_id and
// padding_id are the caller's to fill. Throws Error{kUnsupported} when no row has the tokenizer's patterns.
GgufVocabulary gguf_vocabulary(const Tokenizer& tokenizer, int32_t vocab_size);

std::vector<std::string_view> gguf_pre_names();

}  // namespace hadal::text
