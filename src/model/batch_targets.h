// What the positions of a batch are to predict.
#pragma once

#include <cstdint>
#include <vector>

#include "model/transformer.h"

namespace hadal::model {

// The positions that predict something, and what.
struct Predictions {
  bool all = true;                 // every position of the batch, in order
  std::vector<int64_t> positions;  // [n], rising: indices into [rows, length]
  std::vector<int32_t> targets;    // [n]
  std::vector<float> weights;      // [n], or empty: 1 each
  double weight = 0;               // of all together
};

Predictions predictions_of(const TokenBatch& batch);

// tokens[:, first : first + length], -1 behind a row's end: [rows * length].
std::vector<int32_t> column_range(const TokenBatch& batch, int64_t first);

// The token after the next of each position, or -1: what the MTP module predicts. With TokenBatch::targets it
// is what the next position predicts, as long as both are of one document.
std::vector<int32_t> mtp_targets(const TokenBatch& batch);

}  // namespace hadal::model
