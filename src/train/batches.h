// Packing: documents become rows of sequence_tokens + 1 tokens. Each epoch visits every piece of every
// document once, in an order that is a function of (seed, epoch) alone; the stream of tokens in that order is
// cut into rows that overlap by one token, so that every token is predicted once. The position is three
// integers, and seeking to a saved one continues with the very next token.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "model/transformer.h"
#include "train/dataset.h"

namespace hadal::train {

struct DataPosition {
  int64_t epoch = 0;
  int64_t piece = 0;   // index into the epoch's order
  int64_t offset = 0;  // tokens of that piece that are done
  bool operator==(const DataPosition&) const = default;
};

struct PackingOptions {
  int64_t sequence_tokens = 256;
  int64_t piece_tokens = 1024;  // documents are cut into pieces of at most this many tokens; 0: not cut
  bool document_mask = false;
  uint64_t seed = 1;
};

// One micro-batch with the memory behind its views.
struct PackedBatch {
  int64_t rows = 0;
  int64_t length = 0;
  std::vector<int32_t> tokens;          // [rows, length + 1]
  std::vector<int32_t> document_start;  // [rows, length], or empty without the mask
  model::TokenBatch view() const { return {rows, length, tokens, document_start}; }
};

class PackedBatches {
 public:
  // The dataset must outlive this. Throws Error{kBadInput} when it holds fewer than two tokens.
  PackedBatches(const TokenDataset& dataset, const PackingOptions& options);

  // Fills `batch` with the next `rows` rows.
  void next(int64_t rows, PackedBatch& batch);

  const DataPosition& position() const { return position_; }
  // Throws Error{kBadInput} for a position that this dataset does not have.
  void seek(const DataPosition& position);

  int64_t rows_per_epoch() const { return tokens_ / options_.sequence_tokens; }

 private:
  struct Piece {
    int64_t begin;
    int64_t size;
  };
  void shuffle(int64_t epoch);
  void advance(DataPosition& position, int64_t tokens);

  const TokenDataset& dataset_;
  PackingOptions options_;
  std::vector<Piece> pieces_;
  std::vector<uint32_t> order_;  // of epoch order_epoch_: indices into pieces_
  int64_t order_epoch_ = -1;
  int64_t tokens_ = 0;
  DataPosition position_;
};

}  // namespace hadal::train
