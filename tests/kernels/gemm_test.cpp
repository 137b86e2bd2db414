// gemm() against double-precision loops on random shapes with tails, and the promise that no element's bits
// depend on its neighbours, the cut into tasks or the threads; once per instruction set that this machine
// has.
#include "kernels/gemm.h"

#include <gtest/gtest.h>

#include <cmath>
#include <cstring>
#include <vector>

#include "base/random.h"
#include "kernels/simd.h"

namespace hadal::kernels {
namespace {

enum class Layout { kNt, kNn, kTn, kTt };

// A problem that owns its operands; leading dimensions have a margin, and margins of C hold a mark.
struct Problem {
  Layout layout;
  int64_t m, n, k;
  bool accumulate;
  int64_t lda, ldb, ldc;
  std::vector<float> a, b, c;

  Gemm gemm(float* out) const {
    switch (layout) {
      case Layout::kNt:
        return gemm_nt(a.data(), lda, b.data(), ldb, out, ldc, m, n, k, accumulate);
      case Layout::kNn:
        return gemm_nn(a.data(), lda, b.data(), ldb, out, ldc, m, n, k, accumulate);
      case Layout::kTn:
        return gemm_tn(a.data(), lda, b.data(), ldb, out, ldc, m, n, k, accumulate);
      case Layout::kTt:
        break;
    }
    return {a.data(), 1, lda, b.data(), 1, ldb, out, ldc, m, n, k, accumulate};
  }
};

constexpr float kMark = 12345.0f;

Problem make_problem(base::Random& random, Layout layout, int64_t m, int64_t n, int64_t k, bool accumulate,
                     int64_t margin) {
  const bool a_by_row = layout == Layout::kNt || layout == Layout::kNn;
  const bool b_by_row = layout == Layout::kNn || layout == Layout::kTn;
  Problem p{layout,     m,  n,  k, accumulate, (a_by_row ? k : m) + margin, (b_by_row ? n : k) + margin,
            n + margin, {}, {}, {}};
  // Exactly as long as the last element needs: a sanitizer sees any read past it.
  const auto length = [](int64_t rows, int64_t columns, int64_t ld) {
    return rows == 0 || columns == 0 ? 0 : static_cast<size_t>((rows - 1) * ld + columns);
  };
  p.a.resize(a_by_row ? length(m, k, p.lda) : length(k, m, p.lda));
  p.b.resize(b_by_row ? length(k, n, p.ldb) : length(n, k, p.ldb));
  p.c.assign(length(m, n, p.ldc), kMark);
  for (auto& x : p.a) x = static_cast<float>(random.normal());
  for (auto& x : p.b) x = static_cast<float>(random.normal());
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j)
      p.c[static_cast<size_t>(i * p.ldc + j)] = static_cast<float>(random.normal());
  }
  return p;
}

void expect_close(const Problem& p, const std::vector<float>& got) {
  const Gemm g = p.gemm(nullptr);
  for (int64_t i = 0; i < p.m; ++i) {
    for (int64_t j = 0; j < p.n; ++j) {
      double sum = p.accumulate ? p.c[static_cast<size_t>(i * p.ldc + j)] : 0.0;
      double magnitude = std::abs(sum);
      for (int64_t q = 0; q < p.k; ++q) {
        const double term =
            static_cast<double>(g.a[i * g.a_row + q * g.a_col]) * g.b[q * g.b_row + j * g.b_col];
        sum += term;
        magnitude += std::abs(term);
      }
      ASSERT_NEAR(got[static_cast<size_t>(i * p.ldc + j)], sum, 1e-6 * magnitude + 1e-30)
          << "layout " << static_cast<int>(p.layout) << " m " << p.m << " n " << p.n << " k " << p.k << " at "
          << i << "," << j;
    }
    for (int64_t j = p.n; j < p.ldc && i + 1 < p.m; ++j) {
      ASSERT_EQ(got[static_cast<size_t>(i * p.ldc + j)], kMark) << "wrote past column " << p.n;
    }
  }
}

class GemmTest : public ::testing::TestWithParam<std::string> {
 protected:
  void SetUp() override { ASSERT_TRUE(limit_simd(GetParam())); }
  void TearDown() override { limit_simd(""); }
};

TEST_P(GemmTest, RunsAsTheInstructionSetAskedFor) { EXPECT_EQ(simd_name(), GetParam()); }

TEST_P(GemmTest, RandomShapesAgreeWithTheReference) {
  base::Random random(1);
  base::ThreadPool pool(3);
  for (int round = 0; round < 150; ++round) {
    const auto layout = static_cast<Layout>(random.below(4));
    const bool small = random.below(2) == 0;
    const auto m = static_cast<int64_t>(1 + random.below(small ? 9 : 70));
    const auto n = static_cast<int64_t>(1 + random.below(small ? 40 : 150));
    const auto k = static_cast<int64_t>(1 + random.below(round % 10 == 0 ? 900 : 90));
    const Problem p = make_problem(random, layout, m, n, k, random.below(2) == 0,
                                   static_cast<int64_t>(random.below(2) * random.below(20)));
    std::vector<float> got = p.c;
    gemm(p.gemm(got.data()));
    expect_close(p, got);
    std::vector<float> pooled = p.c;
    gemm(p.gemm(pooled.data()), pool);
    ASSERT_EQ(std::memcmp(pooled.data(), got.data(), got.size() * sizeof(float)), 0);
  }
}

TEST_P(GemmTest, WideStridesAndManyColumns) {
  base::Random random(2);
  for (const auto& [layout, m, n, k] :
       {std::tuple{Layout::kNn, 40, 70, 1024}, std::tuple{Layout::kNt, 30, 2500, 48},
        std::tuple{Layout::kTn, 1030, 33, 20}, std::tuple{Layout::kNt, 1, 2500, 500},
        std::tuple{Layout::kNt, 3, 77, 1024}, std::tuple{Layout::kNt, 8, 41, 512}}) {
    const Problem p = make_problem(random, layout, m, n, k, true, 0);
    std::vector<float> got = p.c;
    gemm(p.gemm(got.data()));
    expect_close(p, got);
  }
}

TEST_P(GemmTest, NoSumIsZeroOrUnchanged) {
  base::Random random(3);
  for (const bool accumulate : {false, true}) {
    const Problem p = make_problem(random, Layout::kNt, 5, 7, 0, accumulate, 3);
    std::vector<float> got = p.c;
    gemm(p.gemm(got.data()));
    expect_close(p, got);
  }
  base::ThreadPool pool(2);
  gemm(std::span<const Gemm>(), pool);
  gemm(Gemm{nullptr, 1, 1, nullptr, 1, 1, nullptr, 1, 0, 5, 5}, pool);
}

// Every element of a big product again from its own row and column alone, and from other cuts.
TEST_P(GemmTest, BitsDoNotDependOnTheBatch) {
  base::Random random(4);
  base::ThreadPool pool(2);
  for (const auto layout : {Layout::kNt, Layout::kNn, Layout::kTn, Layout::kTt}) {
    for (const int64_t k : {3, 64, 257, 900}) {
      const Problem p = make_problem(random, layout, 100, 85, k, k == 257, k == 64 ? 960 : 0);
      std::vector<float> whole = p.c;
      gemm(p.gemm(whole.data()), pool);
      for (const auto& [rows, columns] :
           {std::pair<int64_t, int64_t>{1, 85}, {3, 85}, {5, 20}, {17, 33}, {100, 1}}) {
        std::vector<float> parts = p.c;
        const Gemm g = p.gemm(parts.data());
        std::vector<Gemm> pieces;
        for (int64_t i = 0; i < p.m; i += rows) {
          for (int64_t j = 0; j < p.n; j += columns) {
            Gemm piece = g;
            piece.a += i * g.a_row;
            piece.b += j * g.b_col;
            piece.c += i * g.c_row + j;
            piece.m = std::min(rows, p.m - i);
            piece.n = std::min(columns, p.n - j);
            pieces.push_back(piece);
          }
        }
        gemm(pieces, pool);
        ASSERT_EQ(std::memcmp(parts.data(), whole.data(), whole.size() * sizeof(float)), 0)
            << "layout " << static_cast<int>(layout) << " k " << k << " pieces " << rows << "x" << columns;
      }
    }
  }
}

// The same numbers in another layout: strides do not reach the bits either.
TEST_P(GemmTest, BitsDoNotDependOnTheLayout) {
  base::Random random(5);
  const Problem nt = make_problem(random, Layout::kNt, 33, 47, 390, false, 0);
  std::vector<float> want = nt.c;
  gemm(nt.gemm(want.data()));
  for (const auto layout : {Layout::kNn, Layout::kTn, Layout::kTt}) {
    Problem p = make_problem(random, layout, 33, 47, 390, false, 0);
    const Gemm from = nt.gemm(nullptr);
    const Gemm to = p.gemm(nullptr);
    for (int64_t q = 0; q < p.k; ++q) {
      for (int64_t i = 0; i < p.m; ++i)
        p.a[static_cast<size_t>(i * to.a_row + q * to.a_col)] = from.a[i * from.a_row + q];
      for (int64_t j = 0; j < p.n; ++j)
        p.b[static_cast<size_t>(q * to.b_row + j * to.b_col)] = from.b[q + j * from.b_col];
    }
    std::vector<float> got = p.c;
    gemm(p.gemm(got.data()));
    ASSERT_EQ(std::memcmp(got.data(), want.data(), want.size() * sizeof(float)), 0);
  }
}

TEST_P(GemmTest, GroupsOfExpertsGiveTheSameBitsOnAnyNumberOfThreads) {
  base::Random random(6);
  std::vector<Problem> experts;
  for (int expert = 0; expert < 12; ++expert) {
    const auto rows = static_cast<int64_t>(random.below(120));  // an expert may get no token
    experts.push_back(make_problem(random, Layout::kNt, rows, 64, 96, expert % 2 == 0, 0));
  }
  std::vector<std::vector<float>> want;
  for (const int threads : {1, 2, 5}) {
    base::ThreadPool pool(threads);
    std::vector<std::vector<float>> got;
    std::vector<Gemm> problems;
    for (const auto& expert : experts) got.push_back(expert.c);
    for (size_t i = 0; i < experts.size(); ++i) problems.push_back(experts[i].gemm(got[i].data()));
    gemm(problems, pool);
    for (size_t i = 0; i < experts.size(); ++i) expect_close(experts[i], got[i]);
    if (want.empty()) want = got;
    ASSERT_EQ(got, want) << threads << " threads";
  }
}

INSTANTIATE_TEST_SUITE_P(AllTargets, GemmTest, ::testing::ValuesIn(simd_names()),
                         [](const auto& info) { return info.param; });

}  // namespace
}  // namespace hadal::kernels
