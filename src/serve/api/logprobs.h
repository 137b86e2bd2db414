// Log-probabilities as OpenAI's two endpoints write them.
#pragma once

#include <span>
#include <string>
#include <utility>
#include <vector>

#include "base/json.h"
#include "engine/engine.h"

namespace hadal::serve::api {

// Chat: {"content": [{token, logprob, bytes, top_logprobs}], "reasoning_content": [...]}; the second only of
// an answer that reasons.
base::Json chat_logprobs(const text::Tokenizer& tokenizer, std::span<const engine::TokenLogprob> tokens,
                         bool reasons);

// Text: {tokens, token_logprobs, top_logprobs: [{TOKEN: logprob}], text_offset}. `offset` is where the first
// token's text begins, in characters; it becomes where the next one will.
base::Json text_logprobs(const text::Tokenizer& tokenizer, std::span<const engine::TokenLogprob> tokens,
                         int64_t& offset);

// One object of lists, grown piece by piece as text.
class JsonLists {
 public:
  void append(const base::Json& object);  // its lists go behind those of the same name
  std::string take();                     // the object; "null" when nothing was appended

 private:
  std::vector<std::pair<std::string, std::string>> lists_;  // name, elements
};

}  // namespace hadal::serve::api
