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

// Tile registers 0 .. 3: sums of four products; 4: rows of x; 5: W.
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

// For `subs` parts of 32 values, and x-panels of `rows` rows.
inline void load_tile_config(int subs, int64_t rows) {
  struct alignas(64) Config {
    uint8_t palette = 1;
    uint8_t start_row = 0;
    uint8_t reserved[14] = {};
    uint16_t row_bytes[16] = {};
    uint8_t rows[16] = {};
  } config;
  for (int tile = 0; tile < 5; ++tile) {
    config.rows[tile] = static_cast<uint8_t>(rows);
    config.row_bytes[tile] = 64;
  }
  config.row_bytes[4] = static_cast<uint16_t>(32 / subs);
  config.rows[5] = static_cast<uint8_t>(8 / subs);
  config.row_bytes[5] = 64;
  __asm__ volatile("ldtilecfg %0" ::"m"(config) : "memory");
}
HWY_INLINE void release_tiles() { __asm__ volatile("tilerelease" ::: "memory"); }

// A tile holds codes without their offset, so that formats differ in little.
template <class F>
using AmxKind = Kind<F::kSubs, 8, 0, true, F::kMinima>;

// Sums of four products: [product][row of x][row of W].
struct alignas(64) AmxSums {
  int32_t sum[4][kXRows][kWRows];
};

// Product number kAt of a round: part kAt % kSubs of group kAt / kSubs.
template <class F, int kAt>
HWY_INLINE void amx_multiply(const GroupOf<F>* w, const XGroup* x) {
  constexpr int kGroup = kAt / F::kSubs;
  constexpr int kSub = kAt % F::kSubs;
  tile_zero<kAt>();
  tile_load<4>(&x[kGroup].codes[0][16 * kSub], 32);
  tile_load<5>(w[kGroup].codes[4 * kSub], 64);
  tile_multiply<kAt, 4, 5>();
}

template <class F>
HWY_INLINE void amx_multiply_4(const GroupOf<F>* w, const XGroup* x) {
  amx_multiply<F, 0>(w, x);
  amx_multiply<F, 1>(w, x);
  amx_multiply<F, 2>(w, x);
  amx_multiply<F, 3>(w, x);
}
HWY_INLINE void amx_store_4(AmxSums& sums) {
  tile_store<0>(sums.sum[0], 64);
  tile_store<1>(sums.sum[1], 64);
  tile_store<2>(sums.sum[2], 64);
  tile_store<3>(sums.sum[3], 64);
}

template <class F, int MR>
HWY_INLINE void amx_add(const GroupOf<F>* w, const XGroup* x, int products, const AmxSums& sums,
                        VF* HWY_RESTRICT acc) {
#pragma GCC unroll 4
  for (int at = 0; at < products; ++at) {
    const int sub = at % F::kSubs;
    const GroupOf<F>& group = w[at / F::kSubs];
    const XGroup& rows = x[at / F::kSubs];
    const VF scale = hn::Load(DF(), group.scale[sub]);
    VF bias = scale;
    if constexpr (F::kMinima) bias = hn::Load(DF(), group.bias[sub]);
#pragma GCC unroll 16
    for (int i = 0; i < MR; ++i) {
      const XTerms terms{rows.scale[i], rows.weighted[i], &rows.sum[0][i], kXRows};
      acc[i] = add_group<F>(acc[i], hn::Load(DI(), sums.sum[at][i]), scale, bias, terms, sub);
    }
  }
}

// to[MR, 16] = (from ? from : 0) + a panel's groups times MR rows of x. `from` and `to` may be the same.
// In rounds of four products: while the tiles multiply, the last round's sums are added.
template <class F, int MR>
HWY_NOINLINE void amx_micro(const GroupOf<F>* HWY_RESTRICT w, const XGroup* HWY_RESTRICT x, int64_t groups,
                            const float* from, int64_t from_row, float* to, int64_t to_row) {
  constexpr int kRound = 4 / F::kSubs;  // groups
  AmxSums sums;
  VF acc[MR];
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) {
    acc[i] = from != nullptr ? hn::LoadU(DF(), from + i * from_row) : hn::Zero(DF());
  }
  const int64_t rounds = groups / kRound;
  if (rounds > 0) {
    amx_multiply_4<F>(w, x);
    amx_store_4(sums);
#pragma GCC unroll 1
    for (int64_t r = 1; r < rounds; ++r) {
      amx_multiply_4<F>(w + kRound, x + kRound);
      amx_add<F, MR>(w, x, 4, sums, acc);
      amx_store_4(sums);
      w += kRound;
      x += kRound;
    }
    amx_add<F, MR>(w, x, 4, sums, acc);
    w += kRound;
    x += kRound;
  }
#pragma GCC unroll 1
  for (int64_t g = rounds * kRound; g < groups; ++g, ++w, ++x) {
    amx_multiply<F, 0>(w, x);
    tile_store<0>(sums.sum[0], 64);
    if constexpr (F::kSubs == 2) {
      amx_multiply<F, 1>(w, x);
      tile_store<1>(sums.sum[1], 64);
    }
    amx_add<F, MR>(w, x, F::kSubs, sums, acc);
  }
#pragma GCC unroll 16
  for (int i = 0; i < MR; ++i) hn::StoreU(acc[i], DF(), to + i * to_row);
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
  for (int64_t r = 0; r < rounds; ++r) {
    tile_multiply<0, 4, 5>();
    tile_multiply<1, 4, 5>();
    tile_multiply<2, 4, 5>();
    tile_multiply<3, 4, 5>();
  }
  release_tiles();
  return static_cast<double>(rounds) * 4 * kXRows * kWRows * 32 * 2;
}

// y[m, count] (+)= a tile of two panels of W, of whose rows `count` exist, times x. Sums wait between blocks
// of k in `parts`, one after the other: rows of y are pages apart.
template <class F>
void amx_tile(const QuantGemm& g, const XGroup* packed, const GroupOf<F>* tile, int64_t first_group,
              int64_t groups, int64_t column, int64_t count, Prefetcher& ahead, int64_t ahead_bytes) {
  static thread_local tensor::Buffer parts;  // [x-panels][2][16][16]
  constexpr int64_t kPart = kXRows * kWRows;
  const int64_t all_groups = g.w.cols / 32;
  const int64_t panel_rows = x_panel_rows(g.m);
  const int64_t panels = x_panels(g.m);
  const bool begins = first_group == 0;
  const bool ends = first_group + groups == all_groups;
  parts.resize(std::max<int64_t>(32, panels) * 2 * kPart);
  const int64_t calls = panels * (count > kWRows ? 2 : 1);
  for (int64_t p = 0; p < panels; ++p) {
    const XGroup* x = packed + p * all_groups + first_group;
    const int64_t rows = std::min(panel_rows, g.m - p * panel_rows);
    for (int64_t half = 0; half * kWRows < count; ++half) {
      ahead.pass(ahead_bytes / calls);
      const int64_t width = std::min(kWRows, count - half * kWRows);
      float* y = g.y + p * panel_rows * g.y_row + column + half * kWRows;
      float* part = parts.data() + (2 * p + half) * kPart;
      const bool direct = width == kWRows && rows == panel_rows;
      const float* from = begins ? nullptr : part;
      int64_t from_row = kWRows;
      if (begins && g.accumulate) {
        if (direct) {
          from_row = g.y_row;
        } else {
          std::fill_n(part, kPart, 0.0f);
          for (int64_t r = 0; r < rows; ++r) std::copy_n(y + r * g.y_row, width, part + r * kWRows);
        }
        from = direct ? y : part;
      }
      float* to = ends && direct ? y : part;
      const int64_t to_row = ends && direct ? g.y_row : kWRows;
      const GroupOf<F>* w = tile + half * kTileGroups;
      switch (panel_rows) {
        case 4:
          amx_micro<F, 4>(w, x, groups, from, from_row, to, to_row);
          break;
        case 8:
          amx_micro<F, 8>(w, x, groups, from, from_row, to, to_row);
          break;
        case 12:
          amx_micro<F, 12>(w, x, groups, from, from_row, to, to_row);
          break;
        default:
          amx_micro<F, 16>(w, x, groups, from, from_row, to, to_row);
      }
      if (ends && !direct) {
        for (int64_t r = 0; r < rows; ++r) std::copy_n(part + r * kWRows, width, y + r * g.y_row);
      }
    }
  }
}

}  // namespace
}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif
