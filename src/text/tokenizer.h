// Byte-level BPE as Hugging Face's tokenizer.json describes it (GPT-2's byte alphabet, merges by rank, added
// and special tokens, a sequence of regular-expression splits). Immutable after loading: any thread may use
// it.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace hadal::text {

using TokenId = int32_t;

struct TokenizerParts;  // tokenizer_parser.h

class Tokenizer {
 public:
  // Reads tokenizer.json. Throws Error{kBadInput} naming the file and the part that is wrong or unsupported.
  static std::shared_ptr<const Tokenizer> load(const std::string& path);
  static std::shared_ptr<const Tokenizer> parse(std::string_view json, const std::string& name);
  // From a vocabulary that is checked already; for the readers in this folder.
  static std::shared_ptr<const Tokenizer> assemble(TokenizerParts parts);
  ~Tokenizer();

  // A tokenizer.json that Hugging Face's library reads: the bytes that were read, where it came from one.
  void save(const std::string& path) const;
  std::string to_json() const;

  // One past the highest id, added tokens included.
  int32_t vocab_size() const;

  // Text to ids, normalized first where the file says so (Qwen: NFC). Added tokens in the text become their
  // ids when `parse_special`, else they are plain text; only the single letters that DeepSeek-V2's file lists
  // as added tokens ("ø") are always found. Bytes that are not UTF-8 are kept, since byte-level BPE can say
  // any byte; where the vocabulary has no token for one they become U+FFFD. Throws Error{kBadInput} only when
  // the file's own pattern runs away on the text (never DeepSeek's).
  std::vector<TokenId> encode(std::string_view text, bool parse_special = false) const;

  // The ids that the file's post_processor puts before and after one text (Llama 3: <|begin_of_text|>
  // before); encode leaves them out.
  std::span<const TokenId> template_prefix() const;
  std::span<const TokenId> template_suffix() const;

  // The exact bytes of one token (an added token's text; empty for ids outside the vocabulary).
  std::string_view token_bytes(TokenId id) const;
  // skip_special leaves out what the file marks "special" (in DeepSeek's: the sentence marks, padding and
  // <|EOT|>, but not <｜User｜> or <think>), as Hugging Face's library does.
  std::string decode(std::span<const TokenId> ids, bool skip_special = false) const;

  std::optional<TokenId> find(std::string_view added_token) const;  // by its exact text
  const TokenizerParts& parts() const;                              // for the writers in this folder
  bool is_special(TokenId id) const;  // an added token, "special" or not, that text cannot spell

 private:
  Tokenizer();
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// Turns tokens into text that is safe to send at once: holds back the bytes of an unfinished UTF-8 character.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer) : tokenizer_(std::move(tokenizer)) {}
  std::string push(TokenId id);  // text that is complete now, perhaps empty; bad bytes become U+FFFD
  std::string finish();          // what was held back, as U+FFFD

 private:
  std::shared_ptr<const Tokenizer> tokenizer_;
  std::string pending_;
};

}  // namespace hadal::text
