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
      load_transposed(d, rows + p, stride, columns);
#pragma GCC unroll 4
      for (int q = 0; q < 4; ++q) hn::StoreU(columns[q], d, out + (p + q) * out_stride);
    }
  }
  for (; p < k; ++p) {
    for (int r = 0; r < count; ++r) out[p * out_stride + r] = rows[r * stride + p];
    for (int r = count; r < kLanes; ++r) out[p * out_stride + r] = 0.0f;
  }
}

// out[j] = from[j] for j < count; the rest of the last vector is zero.
HWY_INLINE void copy_padded(const float* HWY_RESTRICT from, int count, float* HWY_RESTRICT out) {
  const D d;
  int j = 0;
  for (; j + kLanes <= count; j += kLanes) hn::StoreU(hn::LoadU(d, from + j), d, out + j);
  if (j == count) return;
#if HWY_TARGET <= HWY_AVX2  // masked loads do not touch what they leave out (lower targets are better)
  hn::StoreU(hn::MaskedLoad(hn::FirstN(d, static_cast<size_t>(count - j)), d, from + j), d, out + j);
#else
  const int padded = j + kLanes;
  for (; j < count; ++j) out[j] = from[j];
  for (; j < padded; ++j) out[j] = 0.0f;
#endif
}

// Rows copied at a time, across all panels or tiles: the reads follow memory closely enough for the
// prefetcher and for whole cache lines, and the writes go to one place for a while (panels are often a
// multiple of 4 KiB apart).
constexpr int64_t kPackRows = 16;

// Packed B: panels of kNr columns, the last one narrower (whole vectors). Panel at column j (from the first
// packed one) begins at j * k; its row p is `width` floats.
inline int panel_width(int64_t columns_left) {
  const int64_t columns = std::min<int64_t>(columns_left, kNr);
  return static_cast<int>((columns + kLanes - 1) / kLanes * kLanes);
}

inline void pack_b(const float* HWY_RESTRICT b, int64_t b_row, int64_t b_col, int64_t k, int64_t n,
                   float* HWY_RESTRICT out) {
  const D d;
  if (b_col == 1) {
    const int64_t whole = n / kNr * kNr;
    for (int64_t p0 = 0; p0 < k; p0 += kPackRows) {
      const int64_t p1 = std::min(k, p0 + kPackRows);
      for (int64_t j = 0; j < whole; j += kNr) {
        for (int64_t p = p0; p < p1; ++p) {
#pragma GCC unroll 4
          for (int v = 0; v < kNr; v += kLanes) {
            hn::StoreU(hn::LoadU(d, b + p * b_row + j + v), d, out + j * k + p * kNr + v);
          }
        }
      }
      for (int64_t p = p0; p < p1 && whole < n; ++p) {
        copy_padded(b + p * b_row + whole, static_cast<int>(n - whole),
                    out + whole * k + p * panel_width(n - whole));
      }
    }
    return;
  }
  for (int64_t j = 0; j < n; j += kNr) {
    const int width = panel_width(n - j);
    const int columns = static_cast<int>(std::min<int64_t>(n - j, kNr));
    for (int v = 0; v < columns; v += kLanes) {
      pack_transposed(b + (j + v) * b_col, b_col, std::min(columns - v, kLanes), k, out + j * k + v, width);
    }
  }
}

// Packed A: tiles of `rows` <= kMr rows become columns: tile[p * kPackedAStride + i] = A(i, p).
constexpr int kPackedAStride = (kMr + kLanes - 1) / kLanes * kLanes;

// Tiles of A packed at a time: a few cache lines of each row where A is read by column.
constexpr int64_t kPackedTiles = 128 / kPackedAStride;

// Row r of the `tiles` tiles that `rows` rows are cut into, nearly equal in height.
inline int64_t tile_begin(int64_t rows, int64_t tiles, int64_t tile) { return rows * tile / tiles; }

// Packs tiles [first, last) of rows [0, rows) of A, `available` >= rows of which exist in memory. Tile number
// t goes to out + (t - first) * kPackedAStride * k.
inline void pack_a(const float* HWY_RESTRICT a, int64_t a_row, int64_t a_col, int64_t rows, int64_t available,
                   int64_t tiles, int64_t first, int64_t last, int64_t k, float* HWY_RESTRICT out) {
  if (a_row != 1) {
    for (int64_t t = first; t < last; ++t, out += kPackedAStride * k) {
      const int64_t begin = tile_begin(rows, tiles, t);
      const int64_t count =
          std::min<int64_t>(kPackedAStride, available - begin);  // whole vectors where they exist
      for (int v = 0; v < count; v += kLanes) {
        pack_transposed(a + (begin + v) * a_row, a_row,
                        static_cast<int>(std::min<int64_t>(count - v, kLanes)), k, out + v, kPackedAStride);
      }
    }
    return;
  }
  // A is read in the order of memory, all tiles of a row together: a tile alone would use a part of each
  // cache line and a new page every few rows.
  const D d;
  for (int64_t p0 = 0; p0 < k; p0 += kPackRows) {
    const int64_t p1 = std::min(k, p0 + kPackRows);
    for (int64_t t = first; t < last; ++t) {
      const int64_t begin = tile_begin(rows, tiles, t);
      const float* from = a + begin;
      float* to = out + (t - first) * kPackedAStride * k;
      if (begin + kPackedAStride <= available) {
        for (int64_t p = p0; p < p1; ++p) {
#pragma GCC unroll 4
          for (int v = 0; v < kPackedAStride; v += kLanes) {
            hn::StoreU(hn::LoadU(d, from + p * a_col + v), d, to + p * kPackedAStride + v);
          }
        }
      } else {
        const int count = static_cast<int>(tile_begin(rows, tiles, t + 1) - begin);
        for (int64_t p = p0; p < p1; ++p) copy_padded(from + p * a_col, count, to + p * kPackedAStride);
      }
    }
  }
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
