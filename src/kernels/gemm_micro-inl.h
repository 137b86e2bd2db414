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

// Into the L2 cache.
#ifndef HADAL_PREFETCH_L2
#define HADAL_PREFETCH_L2(pointer) __builtin_prefetch((pointer), 0, 2)
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

#if HWY_TARGET != HWY_SCALAR
// Four floats at `from` and at every fourth row after it, side by side: lanes 0..3 from row 0, 4..7 from row
// 4, ...
template <class DT>
HWY_INLINE hn::Vec<DT> load_every_fourth(DT d, const float* HWY_RESTRICT from, int64_t stride) {
  constexpr int64_t kCount = hn::MaxLanes(DT());
  if constexpr (kCount <= 4) {
    return hn::LoadU(d, from);
  } else {
    const hn::Half<DT> half;
    return hn::Combine(d, load_every_fourth(half, from + kCount / 2 * stride, stride),
                       load_every_fourth(half, from, stride));
  }
}
#endif

// Four columns of as many rows as vectors of `d` have lanes, `stride` apart, become four vectors:
// out[q] lane r = rows[r * stride + q].
template <class DT>
HWY_INLINE void load_transposed(DT d, const float* HWY_RESTRICT rows, int64_t stride, hn::Vec<DT> out[4]) {
#if HWY_TARGET == HWY_SCALAR
  (void)stride;
  for (int q = 0; q < 4; ++q) out[q] = hn::Set(d, rows[q]);
#else
  hn::Vec<DT> r[4];
#pragma GCC unroll 4
  for (int j = 0; j < 4; ++j) r[j] = load_every_fourth(d, rows + j * stride, stride);
  const hn::RepartitionToWide<DT> d64;  // pairs of floats
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

// Where transposing is the work, vectors of at most 256 bits do it quicker: x86 shuffles two of those a cycle
// but only one of 512, and half a register fills from memory without a shuffle.
using SD = hn::CappedTag<float, 8>;
using SV = hn::Vec<SD>;
constexpr int kSkinnyLanes = kLanes < 8 ? kLanes : 8;

// How micro_skinny reads W. Rows that are a multiple of 2 KiB apart share so few sets of the L1 cache that
// their lines push each other out before they are used up: then whole lines go through a small copy.
enum class ReadW { kInPlace, kByLine };
inline ReadW read_w(int64_t w_stride) { return w_stride % 512 == 0 ? ReadW::kByLine : ReadW::kInPlace; }

// acc[i][j] += X(i, p..p+3) * the four columns of W's panel j that begin at `w`, one column after the other.
template <int MR, int NV>
HWY_INLINE void skinny_step(const float* HWY_RESTRICT x, int64_t x_stride, const float* HWY_RESTRICT w,
                            int64_t w_stride, int j, SV acc[MR][NV]) {
  const SD d;
  SV columns[4];
  load_transposed(d, w, w_stride, columns);
#pragma GCC unroll 4
  for (int q = 0; q < 4; ++q) {
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i)
      acc[i][j] = hn::MulAdd(hn::Set(d, x[i * x_stride + q]), columns[q], acc[i][j]);
  }
}

// C[MR, w] = (add ? C : 0) + X[MR, k] * W[w, k]^T, w = NV * kSkinnyLanes, for a few rows of X: W is
// transposed in registers on its way, and not written again. The chain of each element is that of micro().
template <ReadW kRead, int MR, int NV>
void micro_skinny(int64_t k, const float* HWY_RESTRICT x, int64_t x_stride, const float* HWY_RESTRICT w,
                  int64_t w_stride, float* HWY_RESTRICT c, int64_t c_stride, bool add) {
  const SD d;
  SV acc[MR][NV];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) acc[i][j] = hn::Zero(d);
  }
  int64_t p = 0;
  if (kRead == ReadW::kByLine) {
    constexpr int kLine = 16;  // floats of a cache line
    HWY_ALIGN float lines[NV * kSkinnyLanes * kLine];
    for (; p + kLine <= k; p += kLine) {
      const float* row = w + p;
      for (int r = 0; r < NV * kSkinnyLanes; ++r, row += w_stride) {
        HADAL_PREFETCH_L2(row + NV * kSkinnyLanes * w_stride);  // the same line of the next panel
#pragma GCC unroll 16
        for (int v = 0; v < kLine; v += kSkinnyLanes)
          hn::Store(hn::LoadU(d, row + v), d, lines + r * kLine + v);
      }
#pragma GCC unroll 4
      for (int q = 0; q < kLine; q += 4) {
#pragma GCC unroll 4
        for (int j = 0; j < NV; ++j) {
          skinny_step<MR, NV>(x + p + q, x_stride, lines + j * kSkinnyLanes * kLine + q, kLine, j, acc);
        }
      }
    }
  }
  for (; p + 4 <= k; p += 4) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j)
      skinny_step<MR, NV>(x + p, x_stride, w + j * kSkinnyLanes * w_stride + p, w_stride, j, acc);
  }
  for (; p < k; ++p) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      HWY_ALIGN float column[kSkinnyLanes];
      for (int r = 0; r < kSkinnyLanes; ++r) column[r] = w[(j * kSkinnyLanes + r) * w_stride + p];
      const SV v = hn::Load(d, column);
#pragma GCC unroll 16
      for (int i = 0; i < MR; ++i) acc[i][j] = hn::MulAdd(hn::Set(d, x[i * x_stride + p]), v, acc[i][j]);
    }
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 4
    for (int j = 0; j < NV; ++j) {
      float* out = c + i * c_stride + j * kSkinnyLanes;
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

// Rows of X up to which micro_skinny (two accumulators a row) costs less than packing W.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
constexpr int kSkinnyRows = 8;
#else
constexpr int kSkinnyRows = 4;
#endif
constexpr int kSkinnyVectors = 2;

template <ReadW kRead, int NV, int... I>
Micro pick_skinny(int rows, std::integer_sequence<int, I...>) {
  static constexpr Micro kTable[] = {micro_skinny<kRead, I + 1, NV>...};
  return kTable[rows - 1];
}

// rows in [1, kSkinnyRows], vectors (of kSkinnyLanes) in [1, kSkinnyVectors].
inline Micro skinny_for(ReadW read, int rows, int vectors) {
  constexpr auto kRows = std::make_integer_sequence<int, kSkinnyRows>();
  if (read == ReadW::kByLine) {
    return vectors == 1 ? pick_skinny<ReadW::kByLine, 1>(rows, kRows)
                        : pick_skinny<ReadW::kByLine, 2>(rows, kRows);
  }
  return vectors == 1 ? pick_skinny<ReadW::kInPlace, 1>(rows, kRows)
                      : pick_skinny<ReadW::kInPlace, 2>(rows, kRows);
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
