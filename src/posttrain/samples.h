// Conversations as the token sequences that a model learns from.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "posttrain/conversations.h"
#include "text/chat/chat_format.h"

namespace hadal::posttrain {

// A prompt and what follows it. Where learn[i] is true, token i is one that the model has to say (the
// answers, their reasoning, calls and end tokens).
struct Sample {
  int64_t line = 0;
  uint64_t hash = 0;
  std::vector<text::TokenId> tokens;
  std::vector<bool> learn;  // [tokens]
  int64_t learned_tokens() const;
};

// Each answer stands behind exactly the prompt that the server would make of the messages before it. As long
// as one prompt goes on where the last answer ended they are one sample; where the format writes the history
// otherwise (it drops reasoning), a new one begins, and no answer is learned twice. Throws Error{kBadInput}
// with the reason when the format has no place for something.
std::vector<Sample> render_samples(const Conversation& conversation, const text::ChatFormat& format,
                                   const text::Tokenizer& tokenizer);

}  // namespace hadal::posttrain
