// Tokens sorted by expert and back: the dispatch and combine of an MoE layer on one machine.
// A slot is one (token, choice) pair; slots are ordered by expert, then by token.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

struct ExpertOrder {
  std::vector<int64_t> offsets;      // [experts + 1]: slots of expert e are [offsets[e], offsets[e + 1])
  std::vector<int32_t> slot_token;   // [tokens * K]
  std::vector<int32_t> token_slot;   // [tokens, K]
  std::vector<int32_t> slot_choice;  // [tokens * K]: t * K + j of the slot's token t and choice j
};

// chosen [tokens, top_k].
ExpertOrder sort_by_expert(std::span<const int32_t> chosen, int64_t tokens, int64_t top_k, int64_t experts);

// dx[t] += sum over its slots, in the order of its choices
void dispatch_backward(const ExpertOrder& order, ConstMatrix dslots, Matrix dx, base::ThreadPool& pool);

// out[t] += sum_j weights[t, j] * slots[token_slot[t, j]]
void combine(const ExpertOrder& order, ConstMatrix slots, ConstMatrix weights, Matrix out,
             base::ThreadPool& pool);

}  // namespace hadal::ops
