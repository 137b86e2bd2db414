// The inner loops of gemm.cpp, once per instruction set (Highway's way: this file is included several times).
// An element of C is one chain of fused multiply-adds over p = 0, 1, 2, ... of a block of k, whatever the
// tile.

// Per-target include guard.
#if defined(HADAL_KERNELS_GEMM_MICRO_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HADAL_KERNELS_GEMM_MICRO_INL_H_
#undef HADAL_KERNELS_GEMM_MICRO_INL_H_
#else
#define HADAL_KERNELS_GEMM_MICRO_INL_H_
#endif

#include <cstdint>
#include <utility>

#include "hwy/cache_control.h"
#include "hwy/highway.h"

// Hides where a pointer came from. Otherwise GCC computes every address of an unrolled loop ahead and keeps
// them on the stack, which costs more loads than the arithmetic.
#ifndef HADAL_OPAQUE
#define HADAL_OPAQUE(pointer) __asm__("" : "+r"(pointer))
#endif

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int kLanes = HWY_LANES(float);

// A tile of C is kMr rows by kNv vectors: its accumulators, one row of B and a broadcast fill the register
// file (32 registers: 28 + 2 + 1; 16 registers: 12 + 2 + 1).
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
constexpr int kMr = 14;
#else
constexpr int kMr = 6;
#endif
constexpr int kNv = 2;
constexpr int kNr = kNv * kLanes;

// How a tile reads A. kByRow: A(i, p) = a[i * a_stride + p]. kByColumn: A(i, p) = a[p * a_stride + i].
enum class ReadA { kByRow, kByColumn };

using Micro = void (*)(int64_t k, const float* a, int64_t a_stride, const float* b, int64_t b_stride,
                       float* c, int64_t c_stride, bool add);

// C[MR, NV * lanes] = (add ? C : 0) + A[MR, k] * B[k, NV * lanes]; B(p, j) = b[p * b_stride + j].
template <ReadA kRead, int MR, int NV>
void micro(int64_t k, const float* HWY_RESTRICT a, int64_t a_stride, const float* HWY_RESTRICT b,
           int64_t b_stride, float* HWY_RESTRICT c, int64_t c_stride, bool add) {
  const D d;
  V acc[MR][NV];
  constexpr int kGroups =
      (MR + 2) / 3;  // base addresses for three rows each: x86 adds 1x or 2x a_stride for free
  const float* base[kGroups];
  float* out = c;
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      acc[i][j] = hn::Zero(d);
      hwy::Prefetch(out + j * kLanes);
    }
    out += c_stride;
    HADAL_OPAQUE(out);
  }
#pragma GCC unroll 16
  for (int g = 0; g < kGroups; ++g) base[g] = kRead == ReadA::kByRow ? a + 3 * g * a_stride : a;

  for (int64_t p = 0; p < k; ++p) {
    V row_b[NV];
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) row_b[j] = hn::LoadU(d, b + j * kLanes);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const V x = hn::Set(d, kRead == ReadA::kByRow ? base[i / 3][(i % 3) * a_stride] : a[i]);
#pragma GCC unroll 4
      for (int j = 0; j < NV; ++j) acc[i][j] = hn::MulAdd(x, row_b[j], acc[i][j]);
    }
    b += b_stride;
    a += a_stride;
#pragma GCC unroll 16
    for (int g = 0; g < kGroups; ++g) {
      base[g] += 1;
      HADAL_OPAQUE(base[g]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      float* at = c + j * kLanes;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, at), acc[i][j]) : acc[i][j], d, at);
    }
    c += c_stride;
    HADAL_OPAQUE(c);
  }
}

// Four columns p..p+3 of kLanes rows, `stride` apart, become four vectors: out[q] lane r = rows[r * stride +
// q].
HWY_INLINE void load_transposed(const float* HWY_RESTRICT rows, int64_t stride, V out[4]) {
  const D d;
#if HWY_TARGET == HWY_SCALAR
  (void)stride;
  for (int q = 0; q < 4; ++q) out[q] = hn::Set(d, rows[q]);
#else
  const hn::FixedTag<float, 4> d128;
  V r[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) {
    const float* at = rows + j * stride;
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL
    const hn::FixedTag<float, 8> d256;
    r[j] =
        hn::Combine(d, hn::Combine(d256, hn::LoadU(d128, at + 12 * stride), hn::LoadU(d128, at + 8 * stride)),
                    hn::Combine(d256, hn::LoadU(d128, at + 4 * stride), hn::LoadU(d128, at)));
#elif HWY_TARGET == HWY_AVX2
    r[j] = hn::Combine(d, hn::LoadU(d128, at + 4 * stride), hn::LoadU(d128, at));
#else
    r[j] = hn::LoadU(d128, at);
#endif
  }
  const hn::RepartitionToWide<D> d64;  // pairs of floats
  const auto t0 = hn::BitCast(d64, hn::InterleaveLower(d, r[0], r[1]));
  const auto t1 = hn::BitCast(d64, hn::InterleaveUpper(d, r[0], r[1]));
  const auto t2 = hn::BitCast(d64, hn::InterleaveLower(d, r[2], r[3]));
  const auto t3 = hn::BitCast(d64, hn::InterleaveUpper(d, r[2], r[3]));
  out[0] = hn::BitCast(d, hn::InterleaveLower(d64, t0, t2));
  out[1] = hn::BitCast(d, hn::InterleaveUpper(d64, t0, t2));
  out[2] = hn::BitCast(d, hn::InterleaveLower(d64, t1, t3));
  out[3] = hn::BitCast(d, hn::InterleaveUpper(d64, t1, t3));
#endif
}

// C[MR, NV * lanes] = (add ? C : 0) + X[MR, k] * W[NV * lanes, k]^T for a few rows of X: W is transposed in
// registers on its way, and not written again. The chain of each element is that of micro().
template <int MR, int NV>
void micro_skinny(int64_t k, const float* HWY_RESTRICT x, int64_t x_stride, const float* HWY_RESTRICT w,
                  int64_t w_stride, float* HWY_RESTRICT c, int64_t c_stride, bool add) {
  const D d;
  V acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = hn::Zero(d);
  }
  int64_t p = 0;
  for (; p + 4 <= k; p += 4) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      V columns[4];
      load_transposed(w + j * kLanes * w_stride + p, w_stride, columns);
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) {
#pragma GCC unroll 16
        for (int i = 0; i < MR; ++i) {
          acc[i][j] = hn::MulAdd(hn::Set(d, x[i * x_stride + p + q]), columns[q], acc[i][j]);
        }
      }
    }
  }
  for (; p < k; ++p) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      HWY_ALIGN float column[kLanes];
      for (int r = 0; r < kLanes; ++r) column[r] = w[(j * kLanes + r) * w_stride + p];
      const V v = hn::Load(d, column);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) acc[i][j] = hn::MulAdd(hn::Set(d, x[i * x_stride + p]), v, acc[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      float* out = c + i * c_stride + j * kLanes;
      hn::StoreU(add ? hn::Add(hn::LoadU(d, out), acc[i][j]) : acc[i][j], d, out);
    }
  }
}

template <ReadA kRead, int NV, int... I>
Micro pick_micro(int rows, std::integer_sequence<int, I...>) {
  static constexpr Micro kTable[] = {micro<kRead, I + 1, NV>...};
  return kTable[rows - 1];
}

// rows in [1, kMr], vectors in [1, kNv].
inline Micro micro_for(ReadA read, int rows, int vectors) {
  constexpr auto kRows = std::make_integer_sequence<int, kMr>();
  if (read == ReadA::kByRow) {
    return vectors == 1 ? pick_micro<ReadA::kByRow, 1>(rows, kRows)
                        : pick_micro<ReadA::kByRow, 2>(rows, kRows);
  }
  return vectors == 1 ? pick_micro<ReadA::kByColumn, 1>(rows, kRows)
                      : pick_micro<ReadA::kByColumn, 2>(rows, kRows);
}

// Rows of X up to which transposing W in registers for each group of rows costs less than packing it.
constexpr int kSkinnyRows = 4;

inline Micro skinny_for(int rows, int vectors) {
  static constexpr Micro kTable[2][kSkinnyRows] = {
      {micro_skinny<1, 1>, micro_skinny<2, 1>, micro_skinny<3, 1>, micro_skinny<4, 1>},
      {micro_skinny<1, 2>, micro_skinny<2, 2>, micro_skinny<3, 2>, micro_skinny<4, 2>}};
  return kTable[vectors - 1][rows - 1];
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
