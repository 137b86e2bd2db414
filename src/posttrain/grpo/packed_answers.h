// Sampled answers as rows for training: prompt and answer behind one another, several in a row, attention
// within each alone.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "posttrain/rollout/rollout.h"
#include "train/batches.h"

namespace hadal::posttrain {

// One answer with its question, borrowed.
struct Trajectory {
  std::span<const text::TokenId> prompt;
  const Answer* answer = nullptr;
  int64_t tokens() const { return static_cast<int64_t>(prompt.size() + answer->tokens.size()); }
};

// A batch, and where the log-probability of each answer's tokens stands in it: the places of trajectory i are
// first[i] ... first[i] + its answer's tokens - 1, in a list [rows * length] as the model fills it.
struct PackedAnswers {
  train::PackedBatch batch;
  std::vector<int32_t> targets;      // [rows, length]: the answers' tokens; -1 elsewhere
  std::vector<size_t> trajectories;  // by their number in what was packed
  std::vector<int64_t> first;        // of each of `trajectories`
  model::TokenBatch view() const {
    model::TokenBatch view = batch.view();
    view.targets = targets;
    return view;
  }
};

// Packs all of them, in an order and shape that depend on their lengths alone: longest first, each into the
// first row with room. Rows are row_tokens long (at least the longest trajectory), batches at most about
// micro_tokens.
std::vector<PackedAnswers> pack_answers(std::span<const Trajectory> trajectories, int64_t row_tokens,
                                        int64_t micro_tokens);

}  // namespace hadal::posttrain
