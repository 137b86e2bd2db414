// Log-probabilities as OpenAI's two endpoints write them.
#pragma once

#include <functional>
#include <span>
#include <string>
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

// The text of write(tokens), an object of lists: written a few tokens at a time, for as Json it would take
// ten times the memory.
std::string lists_text(const std::vector<engine::TokenLogprob>& tokens,
                       const std::function<base::Json(std::span<const engine::TokenLogprob>)>& write);

}  // namespace hadal::serve::api
