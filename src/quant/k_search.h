// The search for the two levels of scales of a 256-value block: groups of values with small integer scales
// (and minima), all multiplied by one or two half-precision numbers. Shared by the quantizers of the K
// formats and IQ4_XS.
#pragma once

#include <cstdint>

#include "quant/scale_search.h"

namespace hadal::quant {

inline int to_integer(float value, int low, int high) {
  return static_cast<int>(
      std::lrint(std::min(std::max(value, static_cast<float>(low)), static_cast<float>(high))));
}

// ---- value = (d * scale[g]) * level
// ------------------------------------------------------------------------------

template <int Groups>
struct SignedScales {
  uint16_t d = 0;          // half precision
  int scale[Groups] = {};  // Low..High of the format
};

// Levels: of a value. Low, High: of a group's scale; Low is the larger magnitude.
template <typename Levels, int Groups, int Low, int High>
class SignedSearch {
 public:
  static constexpr int kSize = 256 / Groups;

  explicit SignedSearch(const SearchBlock<256>& block) : block_(block) {}

  SignedScales<Groups> run() {
    float scale[Groups];
    float largest = 0;
    for (int g = 0; g < Groups; ++g) {
      scale[g] = fit_signed<Levels, kSize>(x(g), w(g));
      if (std::abs(scale[g]) > std::abs(largest)) largest = scale[g];
    }
    if (largest == 0) return {};
    // The largest scale becomes Low: the end of the range that reaches further.
    SignedScales<Groups> best;
    float best_error = attempt(largest / static_cast<float>(Low), scale, best);
    for (int round = 0; round < 3; ++round) {
      SignedScales<Groups> next;
      const float error = attempt(least_squares_d(best), scale, next);
      if (!(error < best_error)) break;
      best_error = error;
      best = next;
    }
    return best;
  }

 private:
  const float* x(int g) const { return block_.x + kSize * g; }
  const float* w(int g) const { return block_.w + kSize * g; }
  // In units of the normalised block.
  float normal(uint16_t d) const { return tensor::f16_to_float(d) / block_.magnitude; }

  // Rounds d to what the block can hold and takes the best integer scales for it, near those wanted.
  float attempt(float d, const float* scale, SignedScales<Groups>& out) const {
    out.d = finite_f16(d * block_.magnitude);
    const float held = normal(out.d);
    float total = 0;
    for (int g = 0; g < Groups; ++g) {
      const int middle = held != 0 ? to_integer(scale[g] / held, Low, High) : 0;
      float least = -1;
      for (int s = std::max(Low, middle - 1); s <= std::min(High, middle + 1); ++s) {
        const float error = signed_error<Levels, kSize>(x(g), w(g), held * static_cast<float>(s));
        if (least < 0 || error < least) {
          least = error;
          out.scale[g] = s;
        }
      }
      total += least;
    }
    return total;
  }

  // The best d for the integer scales and the codes that they lead to.
  float least_squares_d(const SignedScales<Groups>& scales) const {
    const float d = normal(scales.d);
    float xq = 0;
    float qq = 0;
    for (int g = 0; g < Groups; ++g) {
      const auto s = static_cast<float>(scales.scale[g]);
      if (scales.scale[g] == 0 || d == 0) continue;
      const SignedSums sums = signed_sums<Levels, kSize>(x(g), w(g), 1.0f / (d * s));
      xq += s * sums.xq;
      qq += s * s * sums.qq;
    }
    return qq > 0 ? xq / qq : d;
  }

  const SearchBlock<256>& block_;
};

// ---- value = (d * scale[g]) * code - dmin * minimum[g]
// ------------------------------------------------------------

template <int Groups>
struct LineScales {
  uint16_t d = 0;     // half precision
  uint16_t dmin = 0;  // half precision
  uint8_t scale[Groups] = {};
  uint8_t minimum[Groups] = {};
};

// codes 0..Codes, scales and minima 0..Steps
template <int Groups, int Codes, int Steps>
class LineSearch {
 public:
  static constexpr int kSize = 256 / Groups;

  explicit LineSearch(const SearchBlock<256>& block) : block_(block) {}

  LineScales<Groups> run() {
    Line lines[Groups];
    float largest = 0;
    float deepest = 0;
    for (int g = 0; g < Groups; ++g) {
      lines[g] = fit_line<kSize>(x(g), w(g), Codes, /*negative_minimum=*/true);
      largest = std::max(largest, lines[g].scale);
      deepest = std::max(deepest, -lines[g].minimum);
    }
    LineScales<Groups> best;
    float best_error = attempt(largest / Steps, deepest / Steps, lines, best);
    for (int round = 0; round < 3; ++round) {
      float d = 0;
      float dmin = 0;
      if (!least_squares(best, d, dmin)) break;
      LineScales<Groups> next;
      const float error = attempt(d, dmin, lines, next);
      if (!(error < best_error)) break;
      best_error = error;
      best = next;
    }
    return best;
  }

 private:
  const float* x(int g) const { return block_.x + kSize * g; }
  const float* w(int g) const { return block_.w + kSize * g; }
  float normal(uint16_t d) const { return tensor::f16_to_float(d) / block_.magnitude; }

  float attempt(float d, float dmin, const Line* lines, LineScales<Groups>& out) const {
    out.d = finite_f16(d * block_.magnitude);
    out.dmin = finite_f16(dmin * block_.magnitude);
    const float d_held = normal(out.d);
    const float dmin_held = normal(out.dmin);
    float total = 0;
    for (int g = 0; g < Groups; ++g) {
      const int scale = d_held > 0 ? to_integer(lines[g].scale / d_held, 0, Steps) : 0;
      const int minimum = dmin_held > 0 ? to_integer(-lines[g].minimum / dmin_held, 0, Steps) : 0;
      float least = -1;
      for (int s = std::max(0, scale - 1); s <= std::min(Steps, scale + 1); ++s) {
        for (int m = std::max(0, minimum - 1); m <= std::min(Steps, minimum + 1); ++m) {
          const Line line{d_held * static_cast<float>(s), -dmin_held * static_cast<float>(m)};
          const float error = line_error<kSize>(x(g), w(g), line, Codes);
          if (least < 0 || error < least) {
            least = error;
            out.scale[g] = static_cast<uint8_t>(s);
            out.minimum[g] = static_cast<uint8_t>(m);
          }
        }
      }
      total += least;
    }
    return total;
  }

  // The best d and dmin for the integers and the codes that they lead to: x = d (s q) - dmin m. False where
  // they are not determined or not positive.
  bool least_squares(const LineScales<Groups>& scales, float& d, float& dmin) const {
    const float d_held = normal(scales.d);
    const float dmin_held = normal(scales.dmin);
    float aa = 0, ab = 0, bb = 0, ax = 0, bx = 0;  // a = s q, b = -m
    for (int g = 0; g < Groups; ++g) {
      const auto s = static_cast<float>(scales.scale[g]);
      const auto m = static_cast<float>(scales.minimum[g]);
      const LineSums sums = line_sums<kSize>(x(g), w(g), {d_held * s, -dmin_held * m}, Codes);
      aa += s * s * sums.qq;
      ab -= s * m * sums.q;
      bb += m * m * sums.w;
      ax += s * sums.xq;
      bx -= m * sums.x;
    }
    const float determinant = aa * bb - ab * ab;
    if (bb == 0 && aa > 0) {
      d = ax / aa;
      dmin = 0;
    } else if (determinant > 1e-9f * aa * bb) {
      d = (ax * bb - bx * ab) / determinant;
      dmin = (bx * aa - ax * ab) / determinant;
    } else {
      return false;
    }
    return d > 0 && dmin >= 0;
  }

  const SearchBlock<256>& block_;
};

// The code of one value of group g, as an integer.
template <int Groups>
int line_code(const LineScales<Groups>& scales, int g, float value, int codes) {
  const float scale = tensor::f16_to_float(scales.d) * static_cast<float>(scales.scale[g]);
  const float minimum = tensor::f16_to_float(scales.dmin) * static_cast<float>(scales.minimum[g]);
  if (!(scale > 0)) return 0;
  return to_integer(((std::isfinite(value) ? value : 0.0f) + minimum) / scale, 0, codes);
}

}  // namespace hadal::quant
