// Packing: samples of several conversations side by side in rows of a fixed length, without a way from one to
// the other (document_start); what is left of a row is padding that predicts nothing.
//
// Each epoch visits every sample once, in an order that is a function of (seed, epoch) alone; a sample goes
// into the first of the open rows that has room for it. The position is (epoch, row): DataPosition's epoch
// and piece.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "model/transformer.h"
#include "posttrain/samples.h"
#include "train/batches.h"

namespace hadal::posttrain {

// Rows with the memory behind their view.
struct SampleBatch {
  int64_t rows = 0;
  int64_t length = 0;                   // of the longest row
  int64_t learned = 0;                  // positions with a target
  int64_t used = 0;                     // positions that are not padding
  std::vector<int32_t> tokens;          // [rows, length + 1]
  std::vector<int32_t> targets;         // [rows, length]
  std::vector<int32_t> document_start;  // [rows, length]
  model::TokenBatch view() const { return {rows, length, tokens, document_start, targets}; }
};

// Indices of the samples of each row. `capacity`: input positions of a row; a sample takes one less than it
// has tokens, since the last one predicts nothing.
using RowPlan = std::vector<std::vector<int32_t>>;
RowPlan plan_rows(std::span<const Sample> samples, std::span<const int32_t> order, int64_t capacity);

// Rows [first, first + count) of a plan.
void fill_batch(std::span<const Sample> samples, std::span<const std::vector<int32_t>> rows,
                SampleBatch& batch);

class SampleBatches {
 public:
  // The samples, which are not empty and fit the rows, must outlive this.
  SampleBatches(std::span<const Sample> samples, int64_t sequence_tokens, uint64_t seed);

  int64_t rows_in_epoch(int64_t epoch);
  // Fills `batch` with the next `rows` rows; epochs follow one another.
  void next(int64_t rows, SampleBatch& batch);

  const train::DataPosition& position() const { return position_; }
  void seek(const train::DataPosition& position);  // throws Error{kBadInput} for a row that is not there

 private:
  void plan(int64_t epoch);

  std::span<const Sample> samples_;
  int64_t sequence_tokens_;
  uint64_t seed_;
  RowPlan rows_;  // of epoch planned_
  int64_t planned_ = -1;
  train::DataPosition position_;
};

}  // namespace hadal::posttrain
