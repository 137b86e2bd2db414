// Loss and bits per byte on held-out text, and how evenly the experts are used there.
#pragma once

#include <cstdint>
#include <vector>

#include "base/thread_pool.h"
#include "model/transformer.h"
#include "text/tokenizer.h"
#include "train/balance.h"
#include "train/dataset.h"

namespace hadal::train {

// Bytes of text that each id stands for; 0 for control tokens, which are no text: they count neither as bytes
// nor as nats in bits per byte.
std::vector<int32_t> token_text_bytes(const text::Tokenizer& tokenizer, int64_t vocab_size);  // [vocab_size]

struct ValidationResult {
  double loss = 0;  // nats per token, control tokens included
  double bpb = 0;   // sum of nats / (ln 2 * bytes), over tokens of text
  double max_violation = 0;
  int64_t tokens = 0;
  int64_t bytes = 0;
  ExpertLoad load;
};

struct ValidationOptions {
  int64_t sequences = 64;  // at most; fewer when the data has fewer
  int64_t sequence_tokens = 256;
  int64_t rows = 8;  // of one forward pass
  bool document_mask = false;
};

// The same rows every time: they are drawn from the shard with a fixed seed.
ValidationResult validate(model::Transformer& model, const TokenDataset& dataset,
                          const std::vector<int32_t>& text_bytes, const ValidationOptions& options,
                          base::ThreadPool& pool);

}  // namespace hadal::train
