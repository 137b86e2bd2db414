// Rotary position embedding on interleaved pairs (x[2i], x[2i+1]), as DeepSeek's checkpoints store them, with
// YaRN's frequency blend (Peng et al. 2023; DeepSeek-V3 inference/model.py precompute_freqs_cis).
#pragma once

#include <cstdint>
#include <vector>

#include "tensor/tensor.h"

namespace hadal::ops {

struct YarnParameters {
  double factor = 1;  // 1: plain RoPE
  double original_positions = 4096;
  double beta_fast = 32;
  double beta_slow = 1;
  double magnitude = 1;  // multiplies cos and sin
};

class RopeTable {
 public:
  RopeTable() = default;
  // dim: even, numbers per head that are rotated.
  RopeTable(int64_t dim, double theta, const YarnParameters& yarn);

  // Makes rows [0, positions) available. Not thread-safe; the other members are.
  void extend(int64_t positions);
  int64_t positions() const { return positions_; }
  int64_t dim() const { return 2 * static_cast<int64_t>(frequencies_.size()); }

  // x[dim] rotated in place for a position; inverse turns it back (the gradient).
  void rotate(float* x, int64_t position) const;
  void rotate_inverse(float* x, int64_t position) const;

 private:
  std::vector<double> frequencies_;  // [dim / 2]
  double magnitude_ = 1;
  std::vector<float> cos_sin_;  // [positions, dim / 2, 2]
  int64_t positions_ = 0;
};

// mscale of YaRN: 0.1 m ln(factor) + 1 for factor > 1.
double yarn_mscale(double factor, double m);

}  // namespace hadal::ops
