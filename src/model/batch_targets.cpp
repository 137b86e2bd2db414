#include "model/batch_targets.h"

#include <algorithm>
#include <numeric>

namespace hadal::model {

std::vector<int32_t> column_range(const TokenBatch& batch, int64_t first) {
  std::vector<int32_t> out(static_cast<size_t>(batch.rows * batch.length), -1);
  const int64_t width = batch.length + 1;
  const int64_t count = std::min(batch.length, width - first);
  for (int64_t r = 0; r < batch.rows; ++r) {
    std::copy_n(batch.tokens.begin() + r * width + first, count, out.begin() + r * batch.length);
  }
  return out;
}

std::vector<int32_t> mtp_targets(const TokenBatch& batch) {
  if (batch.targets.empty()) return column_range(batch, 2);
  std::vector<int32_t> out(batch.targets.size(), -1);
  for (size_t i = 0; i + 1 < out.size(); ++i) {
    if ((i + 1) % static_cast<size_t>(batch.length) == 0) continue;
    if (!batch.document_start.empty() && batch.document_start[i] != batch.document_start[i + 1]) continue;
    out[i] = batch.targets[i + 1];
  }
  return out;
}

Predictions predictions_of(const TokenBatch& batch) {
  Predictions p;
  p.all = batch.targets.empty();
  if (p.all) {
    p.targets = column_range(batch, 1);
    p.weights.assign(batch.weights.begin(), batch.weights.end());
    p.positions.resize(p.targets.size());
    std::iota(p.positions.begin(), p.positions.end(), 0);
  }
  for (size_t i = 0; !p.all && i < batch.targets.size(); ++i) {
    if (batch.targets[i] < 0) continue;
    p.positions.push_back(static_cast<int64_t>(i));
    p.targets.push_back(batch.targets[i]);
    if (!batch.weights.empty()) p.weights.push_back(batch.weights[i]);
  }
  for (size_t i = 0; i < p.targets.size(); ++i) p.weight += p.weights.empty() ? 1.0 : p.weights[i];
  return p;
}

}  // namespace hadal::model
