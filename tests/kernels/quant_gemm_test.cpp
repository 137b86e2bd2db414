// quant_gemm() for every registered format against double-precision loops over quant::row_to_float, and its
// promise about bits; once per instruction set that this machine has.
#include "kernels/quant_gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <limits>
#include <memory>
#include <numeric>

#include "kernels/quant_problem.h"
#include "kernels/simd.h"

namespace hadal::kernels {
namespace {

using quant::WeightFormat;

constexpr float kMark = 12345.0f;

std::vector<float> random_values(base::Random& random, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  const double spread = std::exp(random.normal());
  for (auto& v : values) v = static_cast<float>(random.normal() * spread);
  return values;
}

// y [m, n + margin] of a problem, computed on the calling thread or on a pool.
struct Product {
  int64_t y_row = 0;
  std::vector<float> y;
};

Product multiply(const Activations& x, const std::vector<int32_t>& rows, int64_t m,
                 const quant::QuantMatrix& w, Precision precision, bool accumulate, base::ThreadPool* pool) {
  Product p{w.rows + 3, {}};
  p.y.assign(static_cast<size_t>(m * p.y_row), kMark);
  if (accumulate) {
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < w.rows; ++j) {
        const int64_t token = rows.empty() ? i : rows[static_cast<size_t>(i)];
        p.y[static_cast<size_t>(i * p.y_row + j)] = 0.25f * static_cast<float>((token * 7 + j * 3) % 11 - 5);
      }
    }
  }
  const QuantGemm g{&x, rows.empty() ? nullptr : rows.data(), m, w, p.y.data(), p.y_row, accumulate};
  if (pool != nullptr) {
    quant_gemm(g, precision, *pool);
  } else {
    quant_gemm(g, precision);
  }
  return p;
}

// What the product should be, and the sum of magnitudes that bounds its rounding.
struct Reference {
  double sum = 0;
  double magnitude = 0;
};

// Column c of activation row i as the product sees it.
double activation(const Activations& x, int64_t i, int64_t c, bool int8) {
  if (!int8) return x.values().row(i)[c];
  return static_cast<double>(x.codes(i)[c]) * x.scales(i)[c / Activations::kGroup];
}

class QuantGemmTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(limit_simd(GetParam())); }
  void TearDown() override { limit_simd(""); }
};

int64_t random_cols(base::Random& random, const WeightFormat& format, int64_t most_blocks) {
  const auto blocks = static_cast<int64_t>(1 + random.below(static_cast<uint64_t>(most_blocks)));
  if (format.block_elements > 1) return blocks * format.block_elements;
  return 32 * blocks + static_cast<int64_t>(random.below(2) * random.below(32));  // tails
}

TEST_P(QuantGemmTest, EveryFormatAgreesWithItsDefinition) {
  base::Random random(1);
  base::ThreadPool pool(3);
  for (const WeightFormat& format : quant::weight_formats()) {
    for (int round = 0; round < 24; ++round) {
      const int64_t k = random_cols(random, format, format.block_elements > 32 ? 3 : 20);
      const auto n = static_cast<int64_t>(1 + random.below(70));
      const auto m = static_cast<int64_t>(1 + random.below(round % 2 == 0 ? 5 : 70));
      const Precision precision = round % 3 == 0 ? Precision::kExact : Precision::kFast;
      const bool int8 = precision == Precision::kFast && uses_int8(format);
      const bool accumulate = random.below(2) == 0;
      const RandomWeights w(random, format, n, k);
      const auto values = random_values(random, (m + 2) * k);
      Activations x;
      x.assign(tensor::matrix(values.data(), m + 2, k), int8, pool);
      std::vector<int32_t> rows;
      if (random.below(2) == 0) {
        for (int64_t i = 0; i < m; ++i) {
          rows.push_back(static_cast<int32_t>(random.below(static_cast<uint64_t>(m + 2))));
        }
      }
      const Product got = multiply(x, rows, m, w.matrix, precision, accumulate, nullptr);
      const Product pooled = multiply(x, rows, m, w.matrix, precision, accumulate, &pool);
      ASSERT_EQ(std::memcmp(pooled.y.data(), got.y.data(), got.y.size() * sizeof(float)), 0) << format.name;
      std::vector<float> row(static_cast<size_t>(k));
      for (int64_t j = 0; j < n; ++j) {
        quant::row_to_float(w.matrix, j, 0, k, row.data());
        for (int64_t i = 0; i < m; ++i) {
          const int64_t token = rows.empty() ? i : rows[static_cast<size_t>(i)];
          Reference want;
          if (accumulate) want.sum = 0.25 * static_cast<double>((token * 7 + j * 3) % 11 - 5);
          want.magnitude = std::abs(want.sum);
          for (int64_t c = 0; c < k; ++c) {
            const double term = row[static_cast<size_t>(c)] * activation(x, token, c, int8);
            want.sum += term;
            want.magnitude += std::abs(term);
          }
          // The fast path rounds scale times code apart from the minimum: a few more ulp of each.
          ASSERT_NEAR(got.y[static_cast<size_t>(i * got.y_row + j)], want.sum,
                      (int8 ? 4e-6 : 1e-6) * want.magnitude + 1e-30)
              << format.name << (int8 ? " int8" : "") << " m " << m << " n " << n << " k " << k << " at " << i
              << "," << j;
        }
      }
      for (int64_t i = 0; i < m; ++i) {
        for (int64_t j = n; j < got.y_row; ++j) {
          ASSERT_EQ(got.y[static_cast<size_t>(i * got.y_row + j)], kMark) << "wrote past column " << n;
        }
      }
    }
  }
}

TEST_P(QuantGemmTest, FastIsNearExact) {
  base::Random random(2);
  base::ThreadPool pool(2);
  for (const WeightFormat& format : quant::weight_formats()) {
    const int64_t k = 1024;
    const int64_t n = 48;
    const int64_t m = 20;
    const RandomWeights w(random, format, n, k);
    const auto values = random_values(random, m * k);
    Activations x;
    x.assign(tensor::matrix(values.data(), m, k), uses_int8(format), pool);
    const Product exact = multiply(x, {}, m, w.matrix, Precision::kExact, false, &pool);
    const Product fast = multiply(x, {}, m, w.matrix, Precision::kFast, false, &pool);
    double error = 0;
    double power = 0;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        const auto at = static_cast<size_t>(i * exact.y_row + j);
        error += std::pow(static_cast<double>(fast.y[at]) - exact.y[at], 2);
        power += std::pow(exact.y[at], 2);
      }
    }
    // Rounding to 1/127 of a maximum of about 2.4 deviations: noise of 0.55 % of the signal.
    EXPECT_LT(std::sqrt(error / power), uses_int8(format) ? 0.012 : 1e-6) << format.name;
  }
}

TEST_P(QuantGemmTest, BitsDoNotDependOnTheBatchTheRowsOrTheThreads) {
  base::Random random(3);
  base::ThreadPool one(1);
  base::ThreadPool three(3);
  for (const WeightFormat& format : quant::weight_formats()) {
    for (const Precision precision : {Precision::kExact, Precision::kFast}) {
      for (int round = 0; round < 3; ++round) {
        const int64_t k =
            round == 0 ? 256 * 4 : random_cols(random, format, format.block_elements > 32 ? 4 : 30);
        const auto n = static_cast<int64_t>(1 + random.below(90));
        const int64_t tokens = 41;
        const RandomWeights w(random, format, n, k);
        const auto values = random_values(random, tokens * k);
        Activations x;
        x.assign(tensor::matrix(values.data(), tokens, k),
                 precision == Precision::kFast && uses_int8(format));
        const bool accumulate = round == 1;
        const Product all = multiply(x, {}, tokens, w.matrix, precision, accumulate, nullptr);
        const auto expect_row = [&](const Product& p, int64_t i, int64_t token) {
          ASSERT_EQ(std::memcmp(p.y.data() + i * p.y_row, all.y.data() + token * all.y_row,
                                static_cast<size_t>(n) * sizeof(float)),
                    0)
              << format.name << (precision == Precision::kFast ? " fast" : " exact") << " k " << k << " n "
              << n << " token " << token;
        };
        for (const int64_t m : {1, 2, 3, 4, 5, 7, 8, 9, 12, 13, 16, 17, 24, 31, 33, 40}) {
          std::vector<int32_t> rows(static_cast<size_t>(m));
          for (auto& r : rows) r = static_cast<int32_t>(random.below(tokens));
          const Product part =
              multiply(x, rows, m, w.matrix, precision, accumulate, m % 2 == 0 ? &one : &three);
          for (int64_t i = 0; i < m; ++i) expect_row(part, i, rows[static_cast<size_t>(i)]);
        }
        // A slice of W's rows gives the same columns of y.
        const auto begin = static_cast<int64_t>(random.below(static_cast<uint64_t>(n)));
        const Product slice =
            multiply(x, {}, 5, w.matrix.slice_rows(begin, n - begin), precision, false, nullptr);
        const Product whole = multiply(x, {}, 5, w.matrix, precision, false, nullptr);
        for (int64_t i = 0; i < 5; ++i) {
          ASSERT_EQ(std::memcmp(slice.y.data() + i * slice.y_row, whole.y.data() + i * whole.y_row + begin,
                                static_cast<size_t>(n - begin) * sizeof(float)),
                    0)
              << format.name;
        }
      }
    }
  }
}

TEST_P(QuantGemmTest, ManyExpertsInOneCall) {
  base::Random random(4);
  base::ThreadPool pool(3);
  const int64_t k = 512;
  const int64_t tokens = 30;
  const auto values = random_values(random, tokens * k);
  Activations x;
  x.assign(tensor::matrix(values.data(), tokens, k), true, pool);
  std::vector<std::unique_ptr<RandomWeights>> weights;
  std::vector<std::vector<int32_t>> rows;
  std::vector<std::vector<float>> together;
  std::vector<std::vector<float>> alone;
  std::vector<QuantGemm> problems;
  for (size_t e = 0; e < 40; ++e) {
    const auto& format = quant::weight_formats()[e % quant::weight_formats().size()];
    const auto n = static_cast<int64_t>(1 + random.below(100));
    weights.push_back(std::make_unique<RandomWeights>(random, format, n, k));
    rows.emplace_back(random.below(4) == 0 ? 0 : random.below(30));  // some experts have no token
    for (auto& r : rows.back()) r = static_cast<int32_t>(random.below(tokens));
    const auto m = static_cast<int64_t>(rows.back().size());
    together.emplace_back(static_cast<size_t>(m * n), kMark);
    alone.emplace_back(static_cast<size_t>(m * n), kMark);
    const int32_t* list = rows.back().empty() ? nullptr : rows.back().data();
    problems.push_back({&x, list, m, weights.back()->matrix, together.back().data(), n, false});
  }
  for (const Precision precision : {Precision::kExact, Precision::kFast}) {
    quant_gemm(problems, precision, pool);
    for (size_t e = 0; e < problems.size(); ++e) {
      QuantGemm g = problems[e];
      g.y = alone[e].data();
      quant_gemm(g, precision);
      ASSERT_EQ(together[e], alone[e]) << e;
    }
  }
}

TEST_P(QuantGemmTest, FromTheOtherSide) {
  base::Random random(5);
  base::ThreadPool pool(3);
  for (const WeightFormat& format : quant::weight_formats()) {
    for (int round = 0; round < 3; ++round) {
      const int64_t k = round == 0 ? 512 : random_cols(random, format, 3);
      const auto n = static_cast<int64_t>(round == 0 ? 300 : 1 + random.below(130));
      const auto m = static_cast<int64_t>(1 + random.below(9));
      const RandomWeights w(random, format, n, k);
      const auto x = random_values(random, m * n);
      std::vector<float> y(static_cast<size_t>(m * k), 0.5f);
      const bool accumulate = round == 1;
      const QuantGemmTransposed g{x.data(), n, m, w.matrix, y.data(), k, accumulate};
      quant_gemm_transposed(std::span(&g, 1), pool);
      std::vector<double> sum(y.size(), accumulate ? 0.5 : 0.0);
      std::vector<double> magnitude(y.size(), 0.5);
      std::vector<float> row(static_cast<size_t>(k));
      for (int64_t j = 0; j < n; ++j) {
        quant::row_to_float(w.matrix, j, 0, k, row.data());
        for (int64_t i = 0; i < m; ++i) {
          for (int64_t c = 0; c < k; ++c) {
            const double term =
                static_cast<double>(x[static_cast<size_t>(i * n + j)]) * row[static_cast<size_t>(c)];
            sum[static_cast<size_t>(i * k + c)] += term;
            magnitude[static_cast<size_t>(i * k + c)] += std::abs(term);
          }
        }
      }
      for (size_t i = 0; i < y.size(); ++i) ASSERT_NEAR(y[i], sum[i], 1e-6 * magnitude[i]) << format.name;
      // One row of x alone has the same bits.
      std::vector<float> first(static_cast<size_t>(k), 0.5f);
      quant_gemm_transposed({x.data(), n, 1, w.matrix, first.data(), k, accumulate});
      ASSERT_EQ(std::memcmp(first.data(), y.data(), first.size() * sizeof(float)), 0) << format.name;
    }
  }
}

// kExact is what row_to_float says: multiplied by a unit vector, each value comes back with its bits.
TEST_P(QuantGemmTest, ExactReadsTheBitsOfRowToFloat) {
  base::Random random(6);
  for (const WeightFormat& format : quant::weight_formats()) {
    const int64_t k = format.block_elements > 1 ? 512 : 300;
    const int64_t n = 21;
    const RandomWeights w(random, format, n, k);
    std::vector<float> unit(static_cast<size_t>(n), 0.0f);
    std::vector<float> y(static_cast<size_t>(k));
    std::vector<float> row(static_cast<size_t>(k));
    for (int64_t j = 0; j < n; ++j) {
      unit[static_cast<size_t>(j)] = 1.0f;
      quant_gemm_transposed({unit.data(), n, 1, w.matrix, y.data(), k, false});
      unit[static_cast<size_t>(j)] = 0.0f;
      quant::row_to_float(w.matrix, j, 0, k, row.data());
      for (size_t c = 0; c < row.size(); ++c) ASSERT_EQ(y[c], row[c]) << format.name << " " << j << "," << c;
    }
  }
}

// What is not a number in W or x is not a number in y, in every path.
TEST_P(QuantGemmTest, NanIsSeen) {
  base::Random random(7);
  const auto& fp8 = quant::weight_format(quant::WeightType::kFp8Block);
  const int64_t k = 256;
  RandomWeights w(random, fp8, 20, k);
  w.bytes[static_cast<size_t>(1 + 7 * k + 33)] = std::byte{0xFF};
  // A scale that is infinite or no number, as a corrupt file may have it.
  for (const uint16_t half : {0x7C00, 0xFC00, 0x7E00, 0x7C01}) {
    RandomWeights odd(random, quant::weight_format(quant::WeightType::kQ8_0), 20, k);
    std::memcpy(odd.bytes.data() + 1 + 3 * odd.matrix.row_bytes(), &half, 2);
    for (const int64_t m : {1, 30}) {
      const std::vector<float> values(static_cast<size_t>(m * k), 0.5f);
      Activations x;
      x.assign(tensor::matrix(values.data(), m, k), true);
      for (const Precision precision : {Precision::kExact, Precision::kFast}) {
        const Product p = multiply(x, {}, m, odd.matrix, precision, false, nullptr);
        for (int64_t j = 0; j < 20; ++j) {
          EXPECT_EQ(std::isfinite(p.y[static_cast<size_t>(j)]), j != 3) << j << " " << half;
        }
      }
    }
  }
  const RandomWeights q4(random, quant::weight_format(quant::WeightType::kQ4_0), 20, k);
  for (const int64_t m : {1, 30}) {
    std::vector<float> values(static_cast<size_t>(m * k), 0.5f);
    Activations x;
    x.assign(tensor::matrix(values.data(), m, k), false);
    const Product p = multiply(x, {}, m, w.matrix, Precision::kFast, false, nullptr);
    for (int64_t j = 0; j < 20; ++j) EXPECT_EQ(std::isnan(p.y[static_cast<size_t>(j)]), j == 7) << j;
    for (const float bad :
         {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
      values[70] = bad;
      x.assign(tensor::matrix(values.data(), m, k), true);
      const Product q = multiply(x, {}, m, q4.matrix, Precision::kFast, false, nullptr);
      for (int64_t j = 0; j < 20; ++j) EXPECT_FALSE(std::isfinite(q.y[static_cast<size_t>(j)])) << j;
      if (m > 1) {
        EXPECT_TRUE(std::isfinite(q.y[static_cast<size_t>(q.y_row)]));
      }
    }
  }
}

INSTANTIATE_TEST_SUITE_P(Simd, QuantGemmTest, ::testing::ValuesIn(simd_names()),
                         [](const auto& test) { return test.param; });

}  // namespace
}  // namespace hadal::kernels
