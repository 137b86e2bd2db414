// The search for a block's scale: of all scales tried, the one with the least error sum of w (x - value)^2,
// where the codes are the nearest for each scale. Two models: signed levels, x = scale * level, and a line,
// x = scale * code + minimum. Shared by the quantizers of all block formats.
//
// A search runs on values divided by the block's largest magnitude, so that no square overflows or vanishes.
// It is most of a quantizer's time: sums run in lanes of four (GCC's and Clang's vector type, one SSE2 or
// NEON register), in an order that no compiler changes.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "tensor/dtype.h"

namespace hadal::quant {

using Lanes = float __attribute__((vector_size(16)));
inline constexpr int kLanes = 4;

inline Lanes load_lanes(const float* p) {
  Lanes out;
  std::memcpy(&out, p, sizeof out);
  return out;
}
inline float sum_lanes(Lanes v) { return (v[0] + v[2]) + (v[1] + v[3]); }

// To the nearest integer in [low, high], ties to even; V is float or Lanes.
template <typename V>
inline V rounded(V v, float low, float high) {
  constexpr float kShift = 12582912.0f;  // 1.5 * 2^23: the sum has no room for a fraction
  const V above = v < low ? V{} + low : v;
  const V inside = above > high ? V{} + high : above;
  return (inside + kShift) - kShift;
}

// Codes Low..High as they are.
template <int Low, int High>
struct IntegerLevels {
  static constexpr float kLargest = -Low > High ? -Low : High;  // magnitude
  template <typename V>
  static V nearest(V v) {
    return rounded(v, static_cast<float>(Low), static_cast<float>(High));
  }
};

// The nearest half-precision number that is finite.
inline uint16_t finite_f16(float value) {
  return tensor::float_to_f16(std::min(std::max(value, -65504.0f), 65504.0f));
}

// Values and weights of a block, as a search wants them.
template <int N>
struct SearchBlock {
  float x[N];           // divided by `magnitude`
  float w[N];           // errors' weights, the largest of them 1
  float magnitude = 0;  // 0: every value counts as zero (all are tiny)

  // importance: null, or N weights; values that are not finite count as zero.
  SearchBlock(const float* values, const float* importance) {
    for (int i = 0; i < N; ++i) {
      x[i] = std::isfinite(values[i]) ? values[i] : 0.0f;
      magnitude = std::max(magnitude, std::abs(x[i]));
    }
    if (magnitude < 1e-30f) magnitude = 0;
    const float inverse = magnitude > 0 ? 1.0f / magnitude : 0.0f;
    for (int i = 0; i < N; ++i) x[i] *= inverse;
    float largest = 0;
    for (int i = 0; i < N; ++i) {
      const float weight = importance != nullptr ? importance[i] : 1.0f;
      w[i] = weight > 0 && std::isfinite(weight) ? weight : 0.0f;
      largest = std::max(largest, w[i]);
    }
    for (int i = 0; i < N; ++i) w[i] = largest > 0 ? w[i] / largest : 1.0f;
  }
};

// ---- x = scale * level
// -----------------------------------------------------------------------------------------

struct SignedSums {
  float xq = 0;  // sum of w x q
  float qq = 0;  // sum of w q q
  // How much of the weighted square of x the best scale for these codes explains.
  float gain() const { return qq > 0 ? xq * xq / qq : 0; }
  float scale() const { return qq > 0 ? xq / qq : 0; }
};

template <typename Levels, int N>
SignedSums signed_sums(const float* x, const float* w, float inverse_scale) {
  Lanes xq = {};
  Lanes qq = {};
  for (int i = 0; i < N; i += kLanes) {
    const Lanes v = load_lanes(x + i);
    const Lanes q = Levels::nearest(v * inverse_scale);
    const Lanes wq = load_lanes(w + i) * q;
    xq += wq * v;
    qq += wq * q;
  }
  return {sum_lanes(xq), sum_lanes(qq)};
}

// sum of w (x - scale * level)^2 with the nearest levels
template <typename Levels, int N>
float signed_error(const float* x, const float* w, float scale) {
  const float inverse = scale != 0 ? 1.0f / scale : 0.0f;
  Lanes error = {};
  for (int i = 0; i < N; i += kLanes) {
    const Lanes v = load_lanes(x + i);
    const Lanes difference = v - scale * Levels::nearest(v * inverse);
    error += load_lanes(w + i) * difference * difference;
  }
  return sum_lanes(error);
}

// Tries scales around the one that puts the largest magnitude on the last level, of both signs (the levels
// are not symmetric), then moves the best to the least-squares scale of its codes while that helps.
template <typename Levels, int N>
float fit_signed(const float* x, const float* w) {
  float largest = 0;
  for (int i = 0; i < N; ++i) largest = std::max(largest, std::abs(x[i]));
  if (largest == 0) return 0;
  SignedSums best;
  for (int step = 0; step <= 20; ++step) {
    const float inverse = Levels::kLargest * (0.85f + 0.025f * static_cast<float>(step)) / largest;
    for (const float candidate : {inverse, -inverse}) {
      const SignedSums sums = signed_sums<Levels, N>(x, w, candidate);
      if (sums.gain() > best.gain()) best = sums;
    }
  }
  for (int round = 0; round < 4 && best.scale() != 0; ++round) {
    const SignedSums sums = signed_sums<Levels, N>(x, w, 1.0f / best.scale());
    if (!(sums.gain() > best.gain())) break;
    best = sums;
  }
  return best.scale();
}

// ---- x = scale * code + minimum, codes 0..high
// ------------------------------------------------------------------

struct Line {
  float scale = 0;
  float minimum = 0;
};

template <typename V>
inline V nearest_code(V v, float high) {
  return rounded(v, 0.0f, high);
}

struct LineSums {
  float w = 0, x = 0, q = 0, xx = 0, xq = 0, qq = 0;  // each weighted

  float error(const Line& line) const {
    return xx + line.scale * (line.scale * qq - 2 * xq + 2 * line.minimum * q) +
           line.minimum * (line.minimum * w - 2 * x);
  }
  // The least-squares line for these codes, with minimum <= 0 where asked.
  Line fit(bool negative_minimum) const {
    Line line;
    const float determinant = w * qq - q * q;
    if (determinant > 1e-9f * w * qq) {
      line.scale = (w * xq - x * q) / determinant;
      line.minimum = (qq * x - q * xq) / determinant;
    } else {
      line.minimum = w > 0 ? x / w : 0;  // one code for all
    }
    if (negative_minimum && line.minimum > 0) line = {qq > 0 ? xq / qq : 0, 0};
    return line;
  }
};

template <int N>
LineSums line_sums(const float* x, const float* w, const Line& line, float high) {
  const float inverse = line.scale > 0 ? 1.0f / line.scale : 0.0f;
  Lanes sw = {}, sx = {}, sq = {}, sxx = {}, sxq = {}, sqq = {};
  for (int i = 0; i < N; i += kLanes) {
    const Lanes v = load_lanes(x + i);
    const Lanes weight = load_lanes(w + i);
    const Lanes q = nearest_code((v - line.minimum) * inverse, high);
    const Lanes wv = weight * v;
    const Lanes wq = weight * q;
    sw += weight;
    sx += wv;
    sq += wq;
    sxx += wv * v;
    sxq += wv * q;
    sqq += wq * q;
  }
  return {sum_lanes(sw), sum_lanes(sx), sum_lanes(sq), sum_lanes(sxx), sum_lanes(sxq), sum_lanes(sqq)};
}

// sum of w (x - scale * code - minimum)^2 with the nearest codes
template <int N>
float line_error(const float* x, const float* w, const Line& line, float high) {
  const float inverse = line.scale > 0 ? 1.0f / line.scale : 0.0f;
  Lanes error = {};
  for (int i = 0; i < N; i += kLanes) {
    const Lanes v = load_lanes(x + i);
    const Lanes q = nearest_code((v - line.minimum) * inverse, high);
    const Lanes difference = v - (line.scale * q + line.minimum);
    error += load_lanes(w + i) * difference * difference;
  }
  return sum_lanes(error);
}

// Tries scales from a little above the full range to well inside it (outliers are cut), each followed by the
// least-squares line of its codes.
template <int N>
Line fit_line(const float* x, const float* w, float high, bool negative_minimum) {
  float low = x[0];
  float top = x[0];
  for (int i = 1; i < N; ++i) {
    low = std::min(low, x[i]);
    top = std::max(top, x[i]);
  }
  if (negative_minimum) low = std::min(low, 0.0f);
  if (!(top > low)) return {0, low};
  Line best{(top - low) / high, low};
  float best_error = line_error<N>(x, w, best, high);
  for (int step = 0; step <= 15; ++step) {
    const float range = (top - low) * (1.05f - 0.03f * static_cast<float>(step));
    Line line{range / high, low + 0.5f * ((top - low) - range)};
    if (negative_minimum && low == 0) line.minimum = 0;
    for (int round = 0; round < 2; ++round) {
      const LineSums sums = line_sums<N>(x, w, line, high);
      line = sums.fit(negative_minimum);
      if (!(line.scale > 0)) break;
      const float error = sums.error(line);
      if (error < best_error) {
        best_error = error;
        best = line;
      }
    }
  }
  return best;
}

}  // namespace hadal::quant
