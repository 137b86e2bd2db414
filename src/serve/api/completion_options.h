// What /chat/completions and /completions have in common in their requests.
#pragma once

#include <string>

#include "engine/engine.h"
#include "serve/api/fields.h"

namespace hadal::serve::api {

struct CompletionOptions {
  std::string model;  // as asked for; empty: the one that is served
  engine::SamplingOptions sampling;
  bool stream = false;
  bool include_usage = false;  // stream_options.include_usage
};

// Tokens generated when the request does not say; DeepSeek's default. Requests may ask for any number: the
// engine stops where the context is full (clients send 256000 to models of any size).
inline constexpr int kDefaultMaxTokens = 4096;

// Throws ApiError. Beyond OpenAI's fields: top_k, min_p, repetition_penalty.
CompletionOptions read_completion_options(const Fields& fields);

// Refuses what would change the answer and is not there yet (n and best_of > 1, tools, logprobs, JSON mode,
// logit_bias, frequency_penalty, presence_penalty), rather than ignoring it. Values that change nothing are
// let pass.
void refuse_unsupported(const Fields& fields);

}  // namespace hadal::serve::api
