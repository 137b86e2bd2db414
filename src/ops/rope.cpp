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

void blend_yarn(const YarnParameters& yarn, double dim, double theta, std::vector<double>& frequencies) {
  const double low =
      std::max(0.0, std::floor(correction_index(yarn.beta_fast, dim, theta, yarn.original_positions)));
  double high =
      std::min(dim - 1, std::ceil(correction_index(yarn.beta_slow, dim, theta, yarn.original_positions)));
  if (low == high) high += 0.001;
  for (size_t i = 0; i < frequencies.size(); ++i) {
    const double ramp = std::clamp((static_cast<double>(i) - low) / (high - low), 0.0, 1.0);
    frequencies[i] = frequencies[i] / yarn.factor * ramp + frequencies[i] * (1 - ramp);
  }
}

void blend_llama3(const Llama3Parameters& llama3, std::vector<double>& frequencies) {
  for (double& f : frequencies) {
    const double turns = llama3.original_positions * f / (2 * std::numbers::pi);  // in the original context
    const double kept = std::clamp(
        (turns - llama3.low_freq_factor) / (llama3.high_freq_factor - llama3.low_freq_factor), 0.0, 1.0);
    f = f / llama3.factor * (1 - kept) + f * kept;
  }
}

}  // namespace

double yarn_mscale(double factor, double m) { return factor <= 1 ? 1.0 : 0.1 * m * std::log(factor) + 1.0; }

RopeTable::RopeTable(int64_t dim, double theta, const RopeOptions& options)
    : interleaved_(options.interleaved), magnitude_(options.yarn.magnitude) {
  HADAL_CHECK(dim > 0 && dim % 2 == 0);
  const auto d = static_cast<double>(dim);
  for (int64_t i = 0; i < dim / 2; ++i) {
    frequencies_.push_back(1.0 / std::pow(theta, 2.0 * static_cast<double>(i) / d));
  }
  if (options.yarn.factor > 1) blend_yarn(options.yarn, d, theta, frequencies_);
  if (options.llama3.factor > 1) blend_llama3(options.llama3, frequencies_);
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

template <typename Turn>
void RopeTable::turn(float* x, int64_t position, Turn&& fn) const {
  const size_t pairs = frequencies_.size();
  const float* table = &cos_sin_[static_cast<size_t>(position) * pairs * 2];
  const size_t step = interleaved_ ? 2 : 1, other = interleaved_ ? 1 : pairs;
  for (size_t i = 0; i < pairs; ++i) fn(x[step * i], x[step * i + other], table[2 * i], table[2 * i + 1]);
}

void RopeTable::rotate(float* x, int64_t position) const {
  turn(x, position, [](float& a, float& b, float c, float s) {
    const float turned = a * c - b * s;
    b = a * s + b * c;
    a = turned;
  });
}

void RopeTable::rotate_inverse(float* x, int64_t position) const {
  turn(x, position, [](float& a, float& b, float c, float s) {
    const float turned = a * c + b * s;
    b = b * c - a * s;
    a = turned;
  });
}

}  // namespace hadal::ops
