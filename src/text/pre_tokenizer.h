// The pre_tokenizer of a tokenizer.json: cuts text into pieces that BPE merges may not cross.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/json.h"
#include "text/regex.h"

namespace hadal::text {

// DeepSeek-V3's, which train_bpe writes: digits by threes, Chinese and Japanese runs, then words with the
// space or sign before them.
inline constexpr std::string_view kDeepSeekV3Patterns[] = {
    R"(\p{N}{1,3})",
    "[一-龥\u3040-ゟ゠-ヿ]+",
    "[!\"#$%&'()*+,\\-./:;<=>?@\\[\\\\\\]^_`{|}~][A-Za-z]+|[^\r\n\\p{L}\\p{P}\\p{S}]?[\\p{L}\\p{M}]+|"
    " ?[\\p{P}\\p{S}]+[\r\n]*|\\s*[\r\n]+|\\s+(?!\\S)|\\s+",
};

class PreTokenizer {
 public:
  // `config` is tokenizer.json's "pre_tokenizer": Split, Digits, ByteLevel or a Sequence of them, or null.
  // Throws Error{kUnsupported} naming any other type or option; `name` is the file in errors.
  PreTokenizer(const base::Json& config, const std::string& name);
  ~PreTokenizer();

  const base::Json& config() const { return config_; }  // as given

  // Appends the pieces of `text`, which must be valid UTF-8. They point into `text`.
  void split(std::string_view text, std::vector<std::string_view>& pieces) const;

 private:
  struct Stage {
    Regex regex;
    bool keep_matches = true;
    bool keep_gaps = true;
  };
  void add(const base::Json& config, const std::string& name);
  void run(std::vector<Regex::Searcher*>& searchers, size_t stage, std::string_view text,
           std::vector<std::string_view>& pieces) const;

  base::Json config_;
  std::vector<Stage> stages_;
  bool byte_level_ = false;
};

}  // namespace hadal::text
