// Learns a byte-level BPE from text, as DeepSeek-V3's: its pre-tokenizer, its control tokens, all 256 bytes.
// Ids: the control tokens (0 <｜begin▁of▁sentence｜>, 1 <｜end▁of▁sentence｜>, 2 <｜▁pad▁｜>, <｜User｜>,
// ...), then the bytes in the order of their characters, then the merges in the order in which they were
// learned. The most frequent pair is merged first; of equals the one with the lower ids, as Hugging Face's
// trainer does. The result depends on the text and the options alone, never on the number of threads or the
// order of the chunks.
#pragma once

#include <functional>
#include <memory>
#include <span>
#include <string_view>

#include "text/tokenizer.h"

namespace hadal::text {

struct TrainOptions {
  int32_t vocab_size = 4096;  // in all, control tokens included; fewer when the text has no more pairs
  int threads = 1;
  int64_t min_pair_count = 2;   // a pair seen less often is not merged
  int32_t max_token_bytes = 0;  // no token longer than this is made; 0 for no limit
  // Called from the training thread now and then: "counting words" in bytes, then "merging" in merges.
  std::function<void(std::string_view stage, int64_t done, int64_t total)> progress = {};
};

// Each chunk is one text (a document, a file): pieces never cross from one into the next. The chunks must
// live until this returns. Bytes that are not UTF-8 are left out. Throws Error{kBadInput} for a vocab_size
// without room for the bytes, and for chunks without any text.
std::shared_ptr<const Tokenizer> train_bpe(std::span<const std::string_view> chunks,
                                           const TrainOptions& options);

// The control tokens that train_bpe gives the first ids, in order.
std::span<const std::string_view> control_tokens();

}  // namespace hadal::text
