// The kernel of integer formats for many rows on AMX: 16 rows of x times 16 rows of W times 32 values in one
// instruction. Included by quant_int8.cpp for the AVX3_DL target, after its add_group().
// Instructions are assembly: the compiler needs no AMX flags, and the function is called only where
// amx_enabled().

// One target includes it, hence an ordinary guard.
#ifndef HADAL_KERNELS_QUANT_AMX_INL_H_
#define HADAL_KERNELS_QUANT_AMX_INL_H_

#include <cstring>

#include "kernels/quant_dot-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace {

// Tile registers. Sums and W alternate, so that one group's products overlap with the next one's.
// 0, 1: sums of 16 rows of x; 2, 3: sums of the last, lower panel; 4: 16 rows of x; 5: the last rows of x;
// 6, 7: W.
template <int kTile>
HWY_INLINE void tile_zero() {
  __asm__ volatile("tilezero %%tmm%c0" ::"i"(kTile));
}
template <int kTile>
HWY_INLINE void tile_load(const void* from, int64_t stride) {
  __asm__ volatile("tileloadd (%1,%2,1), %%tmm%c0" ::"i"(kTile), "r"(from), "r"(stride) : "memory");
}
template <int kTile>
HWY_INLINE void tile_store(void* to, int64_t stride) {
  __asm__ volatile("tilestored %%tmm%c0, (%1,%2,1)" ::"i"(kTile), "r"(to), "r"(stride) : "memory");
}
// sums += x * W, signed by signed.
template <int kSums, int kX, int kW>
HWY_INLINE void tile_multiply() {
  __asm__ volatile("tdpbssd %%tmm%c0, %%tmm%c1, %%tmm%c2" ::"i"(kW), "i"(kX), "i"(kSums));
}

// For kSubs parts of 32 values; the last panel of x has `last_rows` rows.
inline void load_tile_config(int subs, int64_t last_rows) {
  struct alignas(64) Config {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } config;
  const auto x_bytes = static_cast<uint16_t>(32 / subs);
  const auto last = static_cast<uint8_t>(last_rows);
  const auto set = [&](int tile, uint8_t rows, uint16_t bytes) {
    config.rows[tile] = rows;
    config.row_bytes[tile] = bytes;
  };
  set(0, 16, 64);
  set(1, 16, 64);
  set(2, last, 64);
  set(3, last, 64);
  set(4, 16, x_bytes);
  set(5, last, x_bytes);
  set(6, static_cast<uint8_t>(8 / subs), 64);
  set(7, static_cast<uint8_t>(8 / subs), 64);
  __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory");
}
HWY_INLINE void release_tiles() { __asm__ volatile("tilerelease" ::: "memory"); }

// A tile holds codes without their offset, so that formats differ in little.
template <class F>
using AmxKind = Kind<F::kSubs, 8, 0, true, F::kMinima>;

// Sums of one group: [part][row of x][row of W].
template <class F>
struct alignas(64) AmxSums {
  int32_t sum[F::kSubs][kXRows][kWRows];
};

template <class F, bool kLast, int kSlot>
HWY_INLINE void amx_group(const GroupOf<F>& w, const XGroup& x, AmxSums<F>& out) {
  constexpr int kSums = (kLast ? 2 : 0) + kSlot;
  constexpr int kX = kLast ? 5 : 4;
  constexpr int kW = 6 + kSlot;
#pragma GCC unroll 2
  for (int sub = 0; sub < F::kSubs; ++sub) {
    tile_zero<kSums>();
    tile_load<kX>(&x.codes[0][16 * sub], 32);
    tile_load<kW>(w.codes[4 * sub], 64);
    tile_multiply<kSums, kX, kW>();
    tile_store<kSums>(out.sum[sub], 64);
  }
}

template <class F, int MR>
HWY_INLINE void amx_add(const GroupOf<F>& w, const XGroup& x, const AmxSums<F>& sums, VF* HWY_RESTRICT acc) {
#pragma GCC unroll 2
  for (int sub = 0; sub < F::kSubs; ++sub) {
    const VF scale = hn::Load(DF(), w.scale[sub]);
    VF bias = scale;
    if constexpr (F::kMinima) bias = hn::Load(DF(), w.bias[sub]);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const XTerms terms{x.scale[i], x.weighted[i], &x.sum[0][i], kXRows};
      acc[i] = add_group<F>(acc[i], hn::Load(DI(), sums.sum[sub][i]), scale, bias, terms, sub);
    }
  }
}

// y[rows, 16] (+)= a panel's groups times MR >= rows rows of x.
template <class F, bool kLast, int MR>
HWY_NOINLINE void amx_micro(const GroupOf<F>* HWY_RESTRICT w, const XGroup* HWY_RESTRICT x, int64_t groups,
                            float* HWY_RESTRICT y, int64_t y_row, int rows, bool add) {
  AmxSums<F> sums[2];
  VF acc[MR];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    acc[i] = add && i < rows ? hn::LoadU(DF(), y + i * y_row) : hn::Zero(DF());
  }
  amx_group<F, kLast, 0>(w[0], x[0], sums[0]);
  int64_t g = 0;
#pragma GCC unroll 1
  for (; g + 2 < groups; g += 2) {
    amx_group<F, kLast, 1>(w[g + 1], x[g + 1], sums[1]);
    amx_add<F, MR>(w[g], x[g], sums[0], acc);
    amx_group<F, kLast, 0>(w[g + 2], x[g + 2], sums[0]);
    amx_add<F, MR>(w[g + 1], x[g + 1], sums[1], acc);
  }
  if (g + 1 < groups) {
    amx_group<F, kLast, 1>(w[g + 1], x[g + 1], sums[1]);
    amx_add<F, MR>(w[g], x[g], sums[0], acc);
    amx_add<F, MR>(w[g + 1], x[g + 1], sums[1], acc);
  } else {
    amx_add<F, MR>(w[g], x[g], sums[0], acc);
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    if (i < rows) hn::StoreU(acc[i], DF(), y + i * y_row);
  }
}

// 8-bit operations of `rounds` times four products on full sums, 32 values deep as the kernels have them.
inline double amx_loop(int64_t rounds) {
  load_tile_config(1, kXRows);
  tile_zero<0>();
  tile_zero<1>();
  tile_zero<2>();
  tile_zero<3>();
  tile_zero<4>();
  tile_zero<5>();
  tile_zero<6>();
  tile_zero<7>();
  for (int64_t r = 0; r < rounds; ++r) {
    tile_multiply<0, 4, 6>();
    tile_multiply<1, 4, 7>();
    tile_multiply<2, 5, 6>();
    tile_multiply<3, 5, 7>();
  }
  release_tiles();
  return static_cast<double>(rounds) * 4 * kXRows * kWRows * 32 * 2;
}

// Rows of x that the last panel is computed with: its height rounded up.
HWY_INLINE int64_t amx_last_rows(int64_t m) {
  const int64_t last = m % kXRows == 0 ? kXRows : m % kXRows;
  return (last + 3) / 4 * 4;
}

// y[m, 16] (+)= `groups` groups of a panel of W, of whose rows `width` exist.
template <class F>
void amx_panel(const QuantGemm& g, const XGroup* packed, const GroupOf<F>* w, int64_t first_group,
               int64_t groups, int64_t column, int64_t width, bool add) {
  const int64_t all_groups = g.w.cols / 32;
  for (int64_t i = 0; i < g.m; i += kXRows) {
    const XGroup* x = packed + i / kXRows * all_groups + first_group;
    const auto rows = static_cast<int>(std::min(kXRows, g.m - i));
    float* y = g.y + i * g.y_row + column;
    int64_t y_row = g.y_row;
    HWY_ALIGN float part[kXRows * kWRows];
    if (width < kWRows) {
      for (int r = 0; r < rows && add; ++r) {
        std::fill_n(part + r * kWRows, kWRows, 0.0f);
        std::copy_n(y + r * y_row, width, part + r * kWRows);
      }
      y = part;
      y_row = kWRows;
    }
    if (i + kXRows < g.m) {
      amx_micro<F, false, 16>(w, x, groups, y, y_row, rows, add);
    } else {
      switch (amx_last_rows(g.m)) {
        case 4:
          amx_micro<F, true, 4>(w, x, groups, y, y_row, rows, add);
          break;
        case 8:
          amx_micro<F, true, 8>(w, x, groups, y, y_row, rows, add);
          break;
        case 12:
          amx_micro<F, true, 12>(w, x, groups, y, y_row, rows, add);
          break;
        default:
          amx_micro<F, true, 16>(w, x, groups, y, y_row, rows, add);
      }
    }
    if (width < kWRows) {
      for (int r = 0; r < rows; ++r) std::copy_n(part + r * kWRows, width, g.y + (i + r) * g.y_row + column);
    }
  }
}

}  // namespace
}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
