// Row-wise kernels against double precision, on lengths with tails and on extreme values; once per
// instruction set.
#include "kernels/rowwise.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <vector>

#include "base/random.h"
#include "kernels/simd.h"
#include "tensor/dtype.h"

namespace hadal::kernels {
namespace {

const std::vector<int64_t> kLengths = {1, 2, 3, 7, 8, 15, 16, 17, 31, 33, 64, 100, 257, 1000};
constexpr float kInf = std::numeric_limits<float>::infinity();

std::vector<float> normals(base::Random& random, int64_t n, double scale = 1.0) {
  std::vector<float> x(static_cast<size_t>(n));
  for (auto& v : x) v = static_cast<float>(scale * random.normal());
  return x;
}

double sigmoid_of(double x) { return 1.0 / (1.0 + std::exp(-x)); }

// Distance in units in the last place of the FP32 number nearest to `want`.
double ulps(float got, double want) {
  const auto nearest = static_cast<float>(want);
  const float step = std::nextafter(std::abs(nearest), kInf) - std::abs(nearest);
  return std::abs(got - want) / step;
}

class RowwiseTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(limit_simd(GetParam())); }
  void TearDown() override { limit_simd(""); }
  base::Random random_{11};
};

TEST_P(RowwiseTest, SumsAndProducts) {
  for (const int64_t n : kLengths) {
    const auto x = normals(random_, n);
    const auto y = normals(random_, n);
    double dot_want = 0;
    double squares = 0;
    double magnitude = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      dot_want += static_cast<double>(x[i]) * y[i];
      squares += static_cast<double>(x[i]) * x[i];
      magnitude += std::abs(static_cast<double>(x[i]) * y[i]);
    }
    EXPECT_NEAR(dot(x.data(), y.data(), n), dot_want, 1e-6 * magnitude);
    EXPECT_NEAR(sum_squares(x.data(), n), squares, 1e-13 * squares);
    auto sum = y;
    add(x.data(), sum.data(), n);
    auto moved = y;
    axpy(0.3f, x.data(), moved.data(), n);
    auto scaled = x;
    scale(-1.7f, scaled.data(), n);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_EQ(sum[i], y[i] + x[i]);
      EXPECT_NEAR(moved[i], y[i] + 0.3 * x[i], 1e-6);
      EXPECT_EQ(scaled[i], x[i] * -1.7f);
    }
  }
}

TEST_P(RowwiseTest, TailsAreNotTouched) {
  for (const int64_t n : kLengths) {
    auto x = normals(random_, n);
    std::vector<float> y(static_cast<size_t>(n) + 20, 7.0f);
    sigmoid(x.data(), y.data(), n);
    for (size_t i = static_cast<size_t>(n); i < y.size(); ++i) ASSERT_EQ(y[i], 7.0f);
  }
}

TEST_P(RowwiseTest, RmsNormForwardAndBackward) {
  for (const int64_t n : kLengths) {
    const auto x = normals(random_, n);
    const auto weight = normals(random_, n);
    const auto dy = normals(random_, n);
    std::vector<float> y(x.size());
    constexpr double kEps = 1e-6;
    const float inv_rms = rms_norm(x.data(), weight.data(), static_cast<float>(kEps), y.data(), n);
    double squares = 0;
    for (const float v : x) squares += static_cast<double>(v) * v;
    const double inv = 1.0 / std::sqrt(squares / static_cast<double>(n) + kEps);
    EXPECT_NEAR(inv_rms, inv, 2e-6 * inv);
    double along = 0;
    for (size_t i = 0; i < x.size(); ++i) along += static_cast<double>(dy[i]) * weight[i] * x[i];
    along *= inv * inv * inv / static_cast<double>(n);
    std::vector<float> dx(x.size(), 1.0f);
    std::vector<float> dweight(x.size(), 2.0f);
    rms_norm_backward(x.data(), weight.data(), inv_rms, dy.data(), dx.data(), dweight.data(), n);
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(y[i], x[i] * inv * weight[i], 1e-5);
      EXPECT_NEAR(dx[i], 1.0 + dy[i] * weight[i] * inv - x[i] * along, 3e-5 * (1 + inv * inv));
      EXPECT_NEAR(dweight[i], 2.0 + dy[i] * x[i] * inv, 3e-5);
    }
  }
}

TEST_P(RowwiseTest, SoftmaxForwardAndBackward) {
  for (const int64_t n : kLengths) {
    const auto x = normals(random_, n, 5.0);
    auto y = x;
    const float log_sum = softmax(y.data(), n);
    double sum = 0;
    for (const float v : x) sum += std::exp(static_cast<double>(v));
    EXPECT_NEAR(log_sum, std::log(sum), 2e-6 * std::abs(std::log(sum)) + 1e-6);
    double total = 0;
    for (size_t i = 0; i < x.size(); ++i) {
      EXPECT_NEAR(y[i], std::exp(static_cast<double>(x[i])) / sum, 1e-6);
      total += y[i];
    }
    EXPECT_NEAR(total, 1.0, 1e-6);
    auto dy = normals(random_, n);
    double inner = 0;
    for (size_t i = 0; i < x.size(); ++i) inner += static_cast<double>(y[i]) * dy[i];
    const auto before = dy;
    softmax_backward(y.data(), dy.data(), dy.data(), n);
    for (size_t i = 0; i < x.size(); ++i) EXPECT_NEAR(dy[i], y[i] * (before[i] - inner), 2e-6);
  }
}

TEST_P(RowwiseTest, AttentionProbabilitiesBackward) {
  for (const int64_t n : kLengths) {
    const auto s = normals(random_, n, 5.0);
    const auto dp = normals(random_, n);
    auto p = s;
    auto ds = dp;
    attention_probabilities_backward(p.data(), ds.data(), 0.25f, 2.0f, 0.125f, n);
    for (size_t i = 0; i < s.size(); ++i) {
      const double want = std::exp(0.25 * s[i] - 2.0);
      EXPECT_NEAR(p[i], want, 1e-6 * (1 + want));
      EXPECT_NEAR(ds[i], want * (dp[i] - 0.125) * 0.25, 1e-6 * (1 + want));
    }
  }
}

TEST_P(RowwiseTest, SoftmaxOfExtremes) {
  std::vector<float> masked = {-kInf, 3.0f, -kInf, 3.0f, -3.4e38f};
  EXPECT_NEAR(softmax(masked.data(), 5), 3.0 + std::log(2.0), 1e-6);
  EXPECT_EQ(masked[0], 0.0f);
  EXPECT_EQ(masked[4], 0.0f);
  EXPECT_EQ(masked[1], 0.5f);
  std::vector<float> huge = {3.4e38f, -3.4e38f, 1e30f};
  softmax(huge.data(), 3);
  EXPECT_EQ(huge[0], 1.0f);
  EXPECT_EQ(huge[1], 0.0f);
  for (const int64_t n : {2, 40}) {  // a NaN must not vanish: the trainer has to see it
    std::vector<float> bad(static_cast<size_t>(n), 1.0f);
    bad[1] = std::nanf("");
    EXPECT_TRUE(std::isnan(softmax(bad.data(), n)));
  }
}

// exp() is reached through cross_entropy's probabilities: row {0, x} with x <= 0 gives e^x / (1 + e^x).
TEST_P(RowwiseTest, ExponentialIsWithinTwoUlps) {
  double worst = 0;
  for (int round = 0; round < 20000; ++round) {
    const auto x = static_cast<float>(-88.0 * random_.uniform() * random_.uniform());
    std::vector<float> row = {0.0f, x, -200.0f};
    std::vector<float> probabilities(3);
    // Factor 1 and target 2 leave element 1 as e^x / sum; sum is 1 + e^x + 0.
    cross_entropy(row.data(), 3, 2, 1.0f, probabilities.data());
    const double e = std::exp(static_cast<double>(x));
    worst = std::max(worst, ulps(probabilities[1], e / (1.0 + e)));
  }
  EXPECT_LT(worst, 4.0);  // 2 of exp, 1 of the sum, 1 of the quotient
}

TEST_P(RowwiseTest, SigmoidAndSwiglu) {
  const std::vector<float> extremes = {0.0f,    -0.0f,  1e-30f,  -1e-30f, 20.0f,  -20.0f, 87.0f, -87.0f,
                                       -104.0f, 300.0f, -300.0f, 3e38f,   -3e38f, kInf,   -kInf};
  std::vector<float> y(extremes.size());
  sigmoid(extremes.data(), y.data(), static_cast<int64_t>(y.size()));
  for (size_t i = 0; i < y.size(); ++i) {
    EXPECT_NEAR(y[i], sigmoid_of(extremes[i]), 3e-7 * sigmoid_of(extremes[i]) + 1.5e-45) << extremes[i];
  }
  for (const int64_t n : kLengths) {
    const auto gate = normals(random_, n, 4.0);
    const auto up = normals(random_, n);
    const auto dy = normals(random_, n);
    std::vector<float> out(gate.size());
    swiglu(gate.data(), up.data(), out.data(), n);
    auto dgate = gate;
    auto dup = up;
    swiglu_backward(dgate.data(), dup.data(), dy.data(), dgate.data(), dup.data(), n);  // in place
    for (size_t i = 0; i < gate.size(); ++i) {
      const double g = gate[i];
      const double s = sigmoid_of(g);
      EXPECT_NEAR(out[i], g * s * up[i], 1e-6 * (1 + std::abs(g * up[i])));
      EXPECT_NEAR(dup[i], dy[i] * g * s, 1e-6 * (1 + std::abs(g * dy[i])));
      EXPECT_NEAR(dgate[i], static_cast<double>(dy[i]) * up[i] * (s + g * s * (1 - s)),
                  1e-6 * (1 + std::abs(g * up[i] * dy[i])));
    }
  }
}

TEST_P(RowwiseTest, CrossEntropy) {
  for (const int64_t n : kLengths) {
    const auto logits = normals(random_, n, 6.0);
    const auto target = static_cast<int64_t>(random_.below(static_cast<uint64_t>(n)));
    double sum = 0;
    for (const float v : logits) sum += std::exp(static_cast<double>(v));
    const double want = std::log(sum) - logits[static_cast<size_t>(target)];
    EXPECT_NEAR(cross_entropy(logits.data(), n, target, 1.0f, nullptr), want, 3e-6 * (1 + std::abs(want)));
    auto in_place = logits;
    EXPECT_NEAR(cross_entropy(in_place.data(), n, target, 0.25f, in_place.data()), want,
                3e-6 * (1 + std::abs(want)));
    for (int64_t i = 0; i < n; ++i) {
      const double p = std::exp(static_cast<double>(logits[static_cast<size_t>(i)])) / sum;
      EXPECT_NEAR(in_place[static_cast<size_t>(i)], 0.25 * (p - (i == target ? 1.0 : 0.0)), 1e-6);
    }
  }
}

TEST_P(RowwiseTest, AdamWFollowsThePaper) {
  for (const int64_t n : kLengths) {
    const auto grad = normals(random_, n);
    auto w = normals(random_, n);
    auto m = normals(random_, n, 0.1);
    auto v = normals(random_, n, 0.1);
    for (auto& x : v) x *= x;
    const AdamW c{1e-3f, 0.9f, 0.95f, 1e-8f, 0.1f, 1 - 0.9f * 0.9f, 1 - 0.95f * 0.95f, 0.5f};
    auto w_got = w;
    auto m_got = m;
    auto v_got = v;
    adamw(c, w_got.data(), grad.data(), m_got.data(), v_got.data(), n);
    std::vector<uint16_t> m16;
    std::vector<uint16_t> v16;
    for (const float x : m) m16.push_back(tensor::float_to_bf16(x));
    for (const float x : v) v16.push_back(tensor::float_to_bf16(x));
    auto w_bf16 = w;
    const auto m_start = m16;
    const auto v_start = v16;
    adamw_bf16(c, w_bf16.data(), grad.data(), m16.data(), v16.data(), n);
    for (size_t i = 0; i < w.size(); ++i) {
      const double g = grad[i] * 0.5;
      const auto step = [&](double m0, double v0, double& m1, double& v1) {
        m1 = 0.9 * m0 + 0.1 * g;
        v1 = 0.95 * v0 + 0.05 * g * g;
        return w[i] - 1e-3 * (m1 / 0.19 / (std::sqrt(v1 / 0.0975) + 1e-8) + 0.1 * w[i]);
      };
      double m1 = 0;
      double v1 = 0;
      EXPECT_NEAR(w_got[i], step(m[i], v[i], m1, v1), 1e-6);
      EXPECT_NEAR(m_got[i], m1, 1e-6);
      EXPECT_NEAR(v_got[i], v1, 1e-6);
      EXPECT_NEAR(w_bf16[i],
                  step(tensor::bf16_to_float(m_start[i]), tensor::bf16_to_float(v_start[i]), m1, v1), 1e-6);
      EXPECT_NEAR(tensor::bf16_to_float(m16[i]), m1, std::abs(m1) / 255 + 1e-7);
      EXPECT_NEAR(tensor::bf16_to_float(v16[i]), v1, std::abs(v1) / 255 + 1e-7);
    }
  }
}

// The stored moments are rounded as tensor::float_to_bf16 rounds, ties and NaN too.
TEST_P(RowwiseTest, Bf16MomentsRoundToNearestEven) {
  const std::vector<uint32_t> bits = {0x3F808000u, 0x3F818000u, 0x3F808001u, 0x3F807FFFu, 0x7F7FFFFFu,
                                      0x80000001u, 0xBF818000u, 0x7FC00000u, 0x7F800000u, 0x00000000u};
  std::vector<float> grad(bits.size());
  std::memcpy(grad.data(), bits.data(), bits.size() * sizeof(float));
  std::vector<float> w(bits.size(), 0.0f);
  std::vector<uint16_t> m(bits.size(), 0);
  std::vector<uint16_t> v(bits.size(), 0);
  const AdamW c{0.0f, 0.0f, 0.0f, 1e-8f, 0.0f, 1.0f, 1.0f, 1.0f};  // the first moment becomes the gradient
  adamw_bf16(c, w.data(), grad.data(), m.data(), v.data(), static_cast<int64_t>(bits.size()));
  for (size_t i = 0; i < bits.size(); ++i) {
    if (std::isnan(grad[i])) {
      EXPECT_TRUE(std::isnan(tensor::bf16_to_float(m[i])));
    } else {
      EXPECT_EQ(m[i], tensor::float_to_bf16(grad[i])) << std::hex << bits[i];
    }
  }
}

// A number's result does not depend on where in the array it stands.
TEST_P(RowwiseTest, ElementsDoNotDependOnTheirPlace) {
  const auto gate = normals(random_, 100, 4.0);
  const auto up = normals(random_, 100);
  std::vector<float> whole(100);
  swiglu(gate.data(), up.data(), whole.data(), 100);
  for (size_t i = 0; i < 100; ++i) {
    float one = 0;
    swiglu(&gate[i], &up[i], &one, 1);
    ASSERT_EQ(one, whole[i]);
  }
}

INSTANTIATE_TEST_SUITE_P(AllTargets, RowwiseTest, ::testing::ValuesIn(simd_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace hadal::kernels
