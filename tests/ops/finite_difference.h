// Gradients against central differences. The loss is a fixed random projection of an op's output, summed in
// double, so that FP32 rounding of the op is all the noise there is.
#pragma once

#include <gtest/gtest.h>

#include <cmath>
#include <functional>
#include <vector>

#include "base/random.h"
#include "tensor/tensor.h"

namespace hadal::test {

inline std::vector<float> random_values(int64_t n, uint64_t seed, double scale = 1) {
  base::Random random(seed);
  std::vector<float> values(static_cast<size_t>(n));
  for (auto& v : values) v = static_cast<float>(random.normal() * scale);
  return values;
}

inline tensor::Matrix view(std::vector<float>& v, int64_t rows, int64_t cols) {
  return tensor::matrix(v.data(), rows, cols);
}

inline double project(const std::vector<float>& y, const std::vector<float>& direction) {
  double sum = 0;
  for (size_t i = 0; i < y.size(); ++i) sum += static_cast<double>(y[i]) * direction[i];
  return sum;
}

// x: the values to move; gradient: what the op says d(loss)/dx is. Every element where there are few, else a
// sample.
inline void expect_gradient(std::vector<float>& x, const std::vector<float>& gradient,
                            const std::function<double()>& loss, float step = 1e-2f,
                            double tolerance = 5e-3) {
  ASSERT_EQ(x.size(), gradient.size());
  double largest = 0;
  for (const float g : gradient) largest = std::max(largest, std::fabs(static_cast<double>(g)));
  ASSERT_GT(largest, 0) << "a gradient of zeros proves nothing";
  const size_t stride = std::max<size_t>(1, x.size() / 200);
  for (size_t i = 0; i < x.size(); i += stride) {
    const float kept = x[i];
    x[i] = kept + step;
    const double up = loss();
    x[i] = kept - step;
    const double down = loss();
    x[i] = kept;
    EXPECT_NEAR((up - down) / (2.0 * step), gradient[i], tolerance * largest) << "element " << i;
  }
}

}  // namespace hadal::test
