// Copies of parts of A and B in the order in which gemm_micro-inl.h reads them. Included once per instruction
// set.

// Per-target include guard.
#if defined(HADAL_KERNELS_GEMM_PACK_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HADAL_KERNELS_GEMM_PACK_INL_H_
#undef HADAL_KERNELS_GEMM_PACK_INL_H_
#else
#define HADAL_KERNELS_GEMM_PACK_INL_H_
#endif

#include <algorithm>
#include <cstdint>

#include "kernels/gemm_micro-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {

// out[p * out_stride + r] = rows[r * stride + p] for r < count <= kLanes and p < k; lanes past `count` are
// zero.
inline void pack_transposed(const float* HWY_RESTRICT rows, int64_t stride, int count, int64_t k,
                            float* HWY_RESTRICT out, int64_t out_stride) {
  const D d;
  int64_t p = 0;
  if (count == kLanes) {
    for (; p + 4 <= k; p += 4) {
      V columns[4];
      load_transposed(rows + p, stride, columns);
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) hn::StoreU(columns[q], d, out + (p + q) * out_stride);
    }
  }
  for (; p < k; ++p) {
    for (int r = 0; r < count; ++r) out[p * out_stride + r] = rows[r * stride + p];
    for (int r = count; r < kLanes; ++r) out[p * out_stride + r] = 0.0f;
  }
}

// out[p * out_stride + j] = rows[p * stride + j] for j < count and p < k; lanes up to a whole vector are
// zero.
inline void pack_straight(const float* HWY_RESTRICT rows, int64_t stride, int count, int64_t k,
                          float* HWY_RESTRICT out, int64_t out_stride) {
  const D d;
  const int whole = count / kLanes * kLanes;
  const int padded = (count + kLanes - 1) / kLanes * kLanes;
  for (int64_t p = 0; p < k; ++p) {
    const float* from = rows + p * stride;
    float* to = out + p * out_stride;
    for (int j = 0; j < whole; j += kLanes) hn::StoreU(hn::LoadU(d, from + j), d, to + j);
    if (whole == padded) continue;
#if HWY_TARGET <= HWY_AVX2  // masked loads do not touch what they leave out (lower targets are better)
    hn::StoreU(hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count - whole)), d, from + whole), d,
               to + whole);
#else
    for (int j = whole; j < count; ++j) to[j] = from[j];
    for (int j = count; j < padded; ++j) to[j] = 0.0f;
#endif
  }
}

// Packed B: panels of kNr columns, the last one narrower (whole vectors). Panel at column j (from the first
// packed one) begins at j * k; its row p is `width` floats.
inline int panel_width(int64_t columns_left) {
  const int64_t columns = std::min<int64_t>(columns_left, kNr);
  return static_cast<int>((columns + kLanes - 1) / kLanes * kLanes);
}

inline void pack_b(const float* HWY_RESTRICT b, int64_t b_row, int64_t b_col, int64_t k, int64_t n,
                   float* HWY_RESTRICT out) {
  for (int64_t j = 0; j < n; j += kNr) {
    const int width = panel_width(n - j);
    const int columns = static_cast<int>(std::min<int64_t>(n - j, kNr));
    float* panel = out + j * k;
    if (b_col == 1) {
      pack_straight(b + j, b_row, columns, k, panel, width);
    } else {
      for (int v = 0; v < columns; v += kLanes) {
        pack_transposed(b + (j + v) * b_col, b_col, std::min(columns - v, kLanes), k, panel + v, width);
      }
    }
  }
}

constexpr int kPackedAStride = (kMr + kLanes - 1) / kLanes * kLanes;

// `rows` <= kMr rows of A become columns: out[p * kPackedAStride + i] = A(i, p). `whole_lanes`:
// kPackedAStride rows of A exist, so that whole vectors may be read.
inline void pack_a(const float* HWY_RESTRICT a, int64_t a_row, int64_t a_col, int rows, bool whole_lanes,
                   int64_t k, float* HWY_RESTRICT out) {
  const int count = whole_lanes ? kPackedAStride : rows;
  if (a_row == 1) {
    pack_straight(a, a_col, count, k, out, kPackedAStride);
    return;
  }
  for (int v = 0; v < count; v += kLanes) {
    pack_transposed(a + v * a_row, a_row, std::min(count - v, kLanes), k, out + v, kPackedAStride);
  }
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
