// Cross-entropies of given tokens: what perplexity and bits per byte are made of.
#pragma once

#include <span>
#include <vector>

#include "engine/generation.h"

namespace hadal::engine {

// -ln p(tokens[i + 1] | tokens[0..i]), [tokens - 1]; at least two tokens. On the engine's thread.
std::vector<float> score_tokens(const GenerationContext& context, std::span<const text::TokenId> tokens);

}  // namespace hadal::engine
