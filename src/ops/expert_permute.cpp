#include "ops/expert_permute.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {
constexpr int64_t kChunkRows = 64;
}

ExpertOrder sort_by_expert(std::span<const int32_t> chosen, int64_t tokens, int64_t top_k, int64_t experts) {
  HADAL_CHECK(static_cast<int64_t>(chosen.size()) == tokens * top_k);
  ExpertOrder order;
  order.offsets.assign(static_cast<size_t>(experts) + 1, 0);
  order.slot_token.resize(chosen.size());
  order.token_slot.resize(chosen.size());
  order.slot_choice.resize(chosen.size());
  for (const int32_t e : chosen) ++order.offsets[static_cast<size_t>(e) + 1];
  for (size_t e = 0; e < static_cast<size_t>(experts); ++e) order.offsets[e + 1] += order.offsets[e];
  std::vector<int64_t> next(order.offsets.begin(), order.offsets.end() - 1);
  for (size_t i = 0; i < chosen.size(); ++i) {
    const int64_t slot = next[static_cast<size_t>(chosen[i])]++;
    order.slot_token[static_cast<size_t>(slot)] = static_cast<int32_t>(static_cast<int64_t>(i) / top_k);
    order.token_slot[i] = static_cast<int32_t>(slot);
    order.slot_choice[static_cast<size_t>(slot)] = static_cast<int32_t>(i);
  }
  return order;
}

void dispatch_backward(const ExpertOrder& order, ConstMatrix dslots, Matrix dx, base::ThreadPool& pool) {
  const int64_t top_k = dslots.rows / dx.rows;
  base::parallel_for(pool, dx.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t j = 0; j < top_k; ++j) {
        kernels::add(dslots.row(order.token_slot[static_cast<size_t>(t * top_k + j)]), dx.row(t), dx.cols);
      }
    }
  });
}

void combine(const ExpertOrder& order, ConstMatrix slots, ConstMatrix weights, Matrix out,
             base::ThreadPool& pool) {
  const int64_t top_k = weights.cols;
  base::parallel_for(pool, out.rows, kChunkRows, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      for (int64_t j = 0; j < top_k; ++j) {
        kernels::axpy(weights.row(t)[j], slots.row(order.token_slot[static_cast<size_t>(t * top_k + j)]),
                      out.row(t), out.cols);
      }
    }
  });
}

}  // namespace hadal::ops
