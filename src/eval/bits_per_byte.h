// Bits per byte of a text under a model: -log2 p(text) / bytes. Independent of the tokenizer, so that models
// with different vocabularies can be compared.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

#include "engine/engine.h"

namespace hadal::eval {

struct BitsPerByteOptions {
  int64_t window_tokens = 256;  // inputs of one forward pass, at most
  int64_t stride_tokens =
      128;  // windows begin this far apart, so a token sees at least window - stride before it
  std::function<void(int64_t done, int64_t total)> progress = {};  // windows; may be empty
};

struct BitsPerByte {
  double bits_per_byte = 0;  // nats / (ln 2 * bytes)
  double nats = 0;           // -ln p(text | BOS)
  int64_t tokens = 0;        // of the text; each is predicted once
  int64_t bytes = 0;
  double nats_per_token() const { return tokens > 0 ? nats / static_cast<double>(tokens) : 0; }
};

// The text follows a BOS token, which is not predicted. Throws Error{kBadInput} for an empty text, or windows
// that are not 1 <= stride <= window <= the engine's context.
BitsPerByte bits_per_byte(engine::Engine& engine, std::string_view text, const BitsPerByteOptions& options);

}  // namespace hadal::eval
