// Puts a prompt together: markers as token ids, everything else as plain text. Neighbouring texts are encoded
// as one, so that the ids are those of the whole string.
#pragma once

#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "text/tokenizer.h"

namespace hadal::text {

class PromptWriter {
 public:
  explicit PromptWriter(const Tokenizer& tokenizer) : tokenizer_(tokenizer) {}

  // The control token `marker`; throws Error{kBadInput} when the vocabulary has none.
  void control(std::string_view marker);
  // The control token, or its text where the vocabulary has none (the distills' tool markers).
  void control_or_text(std::string_view marker);
  void text(std::string_view plain) { pending_ += plain; }
  // The format's own words: where they spell <a token> of the vocabulary, that token. Never for what anybody
  // else wrote.
  void own_words(std::string_view words);
  // <think>, a line break, the reasoning, </think> and an empty line: the answer of a model whose format has
  // no reasoning, trained to reason in its text.
  void reasoning_as_text(std::string_view reasoning);
  void tokens(std::span<const TokenId> ids);  // as they are
  const Tokenizer& tokenizer() const { return tokenizer_; }
  std::vector<TokenId> finish();

 private:
  void push(TokenId id);

  const Tokenizer& tokenizer_;
  std::vector<TokenId> ids_;
  std::string pending_;
};

}  // namespace hadal::text
