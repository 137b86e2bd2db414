#include "ops/rope.h"

#include <algorithm>
#include <cmath>
#include <numbers>

#include "base/error.h"

namespace hadal::ops {

namespace {

// The pair index whose wavelength makes `rotations` turns in the original context.
double correction_index(double rotations, double dim, double theta, double positions) {
  return dim * std::log(positions / (rotations * 2 * std::numbers::pi)) / (2 * std::log(theta));
}

}  // namespace

double yarn_mscale(double factor, double m) { return factor <= 1 ? 1.0 : 0.1 * m * std::log(factor) + 1.0; }

RopeTable::RopeTable(int64_t dim, double theta, const YarnParameters& yarn) : magnitude_(yarn.magnitude) {
  HADAL_CHECK(dim > 0 && dim % 2 == 0);
  const int64_t pairs = dim / 2;
  const auto d = static_cast<double>(dim);
  for (int64_t i = 0; i < pairs; ++i) {
    frequencies_.push_back(1.0 / std::pow(theta, 2.0 * static_cast<double>(i) / d));
  }
  if (yarn.factor <= 1) return;
  const double low =
      std::max(0.0, std::floor(correction_index(yarn.beta_fast, d, theta, yarn.original_positions)));
  double high =
      std::min(d - 1, std::ceil(correction_index(yarn.beta_slow, d, theta, yarn.original_positions)));
  if (low == high) high += 0.001;
  for (int64_t i = 0; i < pairs; ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    auto& f = frequencies_[static_cast<size_t>(i)];
    f = f / yarn.factor * ramp + f * (1 - ramp);
  }
}

void RopeTable::extend(int64_t positions) {
  if (positions <= positions_) return;
  const size_t pairs = frequencies_.size();
  cos_sin_.resize(static_cast<size_t>(positions) * pairs * 2);
  for (int64_t p = positions_; p < positions; ++p) {
    for (size_t i = 0; i < pairs; ++i) {
      const double angle = static_cast<double>(p) * frequencies_[i];
      float* out = &cos_sin_[(static_cast<size_t>(p) * pairs + i) * 2];
      out[0] = static_cast<float>(std::cos(angle) * magnitude_);
      out[1] = static_cast<float>(std::sin(angle) * magnitude_);
    }
  }
  positions_ = positions;
}

void RopeTable::rotate(float* x, int64_t position) const {
  const size_t pairs = frequencies_.size();
  const float* table = &cos_sin_[static_cast<size_t>(position) * pairs * 2];
  for (size_t i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1], c = table[2 * i], s = table[2 * i + 1];
    x[2 * i] = a * c - b * s;
    x[2 * i + 1] = a * s + b * c;
  }
}

void RopeTable::rotate_inverse(float* x, int64_t position) const {
  const size_t pairs = frequencies_.size();
  const float* table = &cos_sin_[static_cast<size_t>(position) * pairs * 2];
  for (size_t i = 0; i < pairs; ++i) {
    const float a = x[2 * i], b = x[2 * i + 1], c = table[2 * i], s = table[2 * i + 1];
    x[2 * i] = a * c + b * s;
    x[2 * i + 1] = b * c - a * s;
  }
}

}  // namespace hadal::ops
