// Rotary position embedding on interleaved pairs (x[2i], x[2i+1]), as DeepSeek's checkpoints store them, or
// on halves (x[i], x[i + dim / 2]), as Qwen's and Llama's do, with YaRN's frequency blend (Peng et al. 2023;
// DeepSeek-V3 inference/model.py precompute_freqs_cis) or Llama 3's.
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

// Llama 3.1: frequencies with a wavelength above original / low are divided by factor, those below
// original / high stay, the others are blended (Llama 3 model card; transformers modeling_rope_utils).
struct Llama3Parameters {
  double factor = 1;  // 1: plain RoPE
  double low_freq_factor = 1;
  double high_freq_factor = 4;
  double original_positions = 8192;
};

struct RopeOptions {
  bool interleaved = true;
  YarnParameters yarn = {};
  Llama3Parameters llama3 = {};
};

class RopeTable {
 public:
  RopeTable() = default;
  // dim: even, numbers per head that are rotated.
  RopeTable(int64_t dim, double theta, const RopeOptions& options);

  // Makes rows [0, positions) available. Not thread-safe; the other members are.
  void extend(int64_t positions);
  int64_t positions() const { return positions_; }
  int64_t dim() const { return 2 * static_cast<int64_t>(frequencies_.size()); }

  // x[dim] rotated in place for a position; inverse turns it back (the gradient).
  void rotate(float* x, int64_t position) const;
  void rotate_inverse(float* x, int64_t position) const;

 private:
  template <typename Turn>
  void turn(float* x, int64_t position, Turn&& fn) const;

  std::vector<double> frequencies_;  // [dim / 2]
  bool interleaved_ = true;
  double magnitude_ = 1;
  std::vector<float> cos_sin_;  // [positions, dim / 2, 2]
  int64_t positions_ = 0;
};

// mscale of YaRN: 0.1 m ln(factor) + 1 for factor > 1.
double yarn_mscale(double factor, double m);

}  // namespace hadal::ops
