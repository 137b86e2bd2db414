// Products of integer formats with 8-bit activations. Every kernel here gives an element of y the same bits:
// sums of a group's products are exact integers, and add_group() is the only place that adds them to the FP32
// sum, group after group.
//
// Few rows of x (decode): a panel of W is decoded into registers and multiplied there; W is read once, and
// the next panel is prefetched meanwhile. Many rows (prefill): a tile of W, two panels of 512 values of k,
// is decoded once into L1 and multiplied by all rows of x, with AMX where there is some.
#include "kernels/quant_int8.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/simd.h"
#ifndef HWY_WANT_AVX3_DL
#define HWY_WANT_AVX3_DL  // AVX-512 with VNNI
#endif
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/quant_int8.cpp"
#include "hwy/foreach_target.h"
#include "kernels/quant_dot-inl.h"

#ifndef HADAL_KERNELS_QUANT_INT8_SHARED
#define HADAL_KERNELS_QUANT_INT8_SHARED
namespace hadal::kernels {

constexpr int64_t kTileGroups = 16;  // of 32 values of k

// One group of a panel of W, decoded.
template <int kSubs, bool kMinima>
struct alignas(64) WGroup {
  uint32_t codes[8][kWRows];
  float scale[kSubs][kWRows];
  float bias[kMinima ? kSubs : 1][kWRows];
};
template <int kSubs>
struct alignas(64) WGroup<kSubs, false> {
  uint32_t codes[8][kWRows];
  float scale[kSubs][kWRows];
};

// The largest tile: two panels.
struct alignas(64) Int8Scratch {
  std::byte tile[2 * kTileGroups * sizeof(WGroup<2, true>)];
};

}  // namespace hadal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace {

constexpr int kParts = kWRows / kLanes;  // vectors of a panel's rows

template <class K>
using DotOf = Dot<K::kBits, K::kSigned>;
template <class K>
using GroupOf = WGroup<K::kSubs, K::kMinima>;

// A row of x at one group, for add_group.
struct XTerms {
  float scale;
  float weighted;       // scale * sum of the 32 codes
  const int32_t* sums;  // of 16 codes each, `sums_step` apart
  int64_t sums_step;
};

// What the integer sums of part `sub` begin with: minus the offset of the codes times x's sum.
template <class F>
HWY_INLINE VI first_sum(const XTerms& x, int sub) {
  constexpr int kOffset = F::kOffset + DotOf<F>::kBias;
  if constexpr (kOffset == 0) return hn::Zero(DI());
  const int32_t sum = F::kSubs == 2 ? x.sums[sub * x.sums_step] : x.sums[0] + x.sums[x.sums_step];
  return hn::Set(DI(), -kOffset * sum);
}

// acc += one part's sum: the order of the FP32 operations that the contract fixes.
template <class F>
HWY_INLINE VF add_group(VF acc, VI sum, VF scale, VF bias, const XTerms& x, int sub) {
  const DF d;
  acc = hn::MulAdd(hn::Mul(scale, hn::Set(d, x.scale)), to_float(sum), acc);
  if constexpr (F::kMinima) {
    const float weighted =
        F::kSubs == 2 ? x.scale * static_cast<float>(x.sums[sub * x.sums_step]) : x.weighted;
    acc = hn::MulAdd(bias, hn::Set(d, weighted), acc);
  }
  return acc;
}

HWY_INLINE VI broadcast_codes(const int8_t* x) {
  int32_t four = 0;
  std::memcpy(&four, x, 4);
  return hn::Set(DI(), four);
}

// Up to kFewRows rows of x, row-major, moving along k.
template <class F, int M>
struct DirectSink {
  const int8_t* codes[M];
  const float* scales[M];
  const int32_t* sums[M];
  VF acc[M];

  HWY_INLINE void group(const VU* HWY_RESTRICT w, const VF* HWY_RESTRICT scale, const VF* HWY_RESTRICT bias) {
    using Dot = DotOf<F>;
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
      const XTerms x{*scales[i], *scales[i] * static_cast<float>(sums[i][0] + sums[i][1]), sums[i], 1};
      constexpr int kCount = 8 / F::kSubs;
#pragma GCC unroll 2
      for (int sub = 0; sub < F::kSubs; ++sub) {
        VI sum = first_sum<F>(x, sub);
        constexpr int kSteps = std::min(kCount, Dot::kSteps);
#pragma GCC unroll 8
        for (int s = 0; s < kCount; s += kSteps) {
          auto part = Dot::begin();
#pragma GCC unroll 8
          for (int t = s; t < s + kSteps; ++t) {
            const int at = sub * kCount + t;
            part = Dot::step(part, w[at], broadcast_codes(codes[i] + 4 * at));
          }
          sum = Dot::end(sum, part);
        }
        acc[i] = add_group<F>(acc[i], sum, scale[sub], F::kMinima ? bias[sub] : scale[sub], x, sub);
      }
      codes[i] += 32;
      scales[i] += 1;
      sums[i] += 2;
    }
  }
};

// Keeps a decoded panel part in a tile. kCentred: codes minus their offset, signed.
template <class F, bool kCentred>
struct StoreSink {
  GroupOf<F>* out;
  int lane;  // of the panel: where this part begins

  HWY_INLINE void group(const VU* HWY_RESTRICT w, const VF* HWY_RESTRICT scale, const VF* HWY_RESTRICT bias) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      VU codes = w[i];
#if HWY_TARGET != HWY_SCALAR
      if constexpr (kCentred && F::kOffset != 0) {
        const hn::Repartition<int8_t, DU> d8;
        codes = hn::BitCast(DU(), hn::Sub(hn::BitCast(d8, codes), hn::Set(d8, F::kOffset)));
      }
#endif
      hn::Store(codes, DU(), out->codes[i] + lane);
    }
#pragma GCC unroll 2
    for (int s = 0; s < F::kSubs; ++s) {
      hn::Store(scale[s], DF(), out->scale[s] + lane);
      if constexpr (F::kMinima) hn::Store(bias[s], DF(), out->bias[s] + lane);
    }
    ++out;
  }
};

// Touches the next panel's bytes while this one is computed: each block passed asks for as many bytes as it
// held.
struct Prefetcher {
  const std::byte* next;
  const std::byte* limit;  // of what was passed
  HWY_INLINE void pass(int64_t bytes) {
    if (next == nullptr) return;
    limit += bytes;
    for (; next < limit; next += 64) __builtin_prefetch(next, 0, 3);
  }
};

// Where a panel of 16 rows is read: in place, or from a copy when fewer rows are left.
struct Panel {
  const std::byte* base;
  int64_t rows;
};

// Rows of x that share one reading of W.
constexpr int kDirectRows = HWY_TARGET <= HWY_AVX2 ? kFewRows : 1;

// y[m, count] of one panel, m <= M rows from row `first`.
template <class F, int M>
HWY_INLINE void direct_panel(const QuantGemm& g, const std::byte* base, int64_t first, int64_t m,
                             int64_t column, int64_t count) {
  const int64_t stride = g.w.row_bytes();
  const int64_t blocks = g.w.cols / F::kElements;
  const bool more = column + 2 * kWRows <= g.w.rows;
  Prefetcher ahead{more ? base + kWRows * stride : nullptr, base + kWRows * stride};
#pragma GCC unroll 1
  for (int part = 0; part < kParts; ++part) {
    const int64_t lane = part * kLanes;
    if (lane >= count) break;
    Rows rows = rows_at(base + lane * stride, stride);
    DirectSink<F, M> sink;
    float* y[M];
    const bool whole = lane + kLanes <= count;
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
      const int64_t at = first + std::min<int64_t>(i, m - 1);  // lower than M: the last row again
      const int64_t row = g.rows == nullptr ? at : g.rows[at];
      sink.codes[i] = g.x->codes(row);
      sink.scales[i] = g.x->scales(row);
      sink.sums[i] = g.x->sums(row);
      y[i] = g.y + at * g.y_row + column + lane;
      sink.acc[i] = hn::Zero(DF());
      if (g.accumulate) {
        sink.acc[i] = whole ? hn::LoadU(DF(), y[i]) : hn::Zero(DF());
        if (!whole) {
          HWY_ALIGN float old[kLanes] = {};
          std::copy_n(y[i], count - lane, old);
          sink.acc[i] = hn::Load(DF(), old);
        }
      }
    }
#pragma GCC unroll 1
    for (int64_t b = 0; b < blocks; ++b) {
      ahead.pass(kLanes * F::kBytes);
      F::block(rows, sink);
      rows.base += F::kBytes;
    }
#pragma GCC unroll 4
    for (int i = 0; i < M; ++i) {
      if (i >= m) break;
      if (whole) {
        hn::StoreU(sink.acc[i], DF(), y[i]);
      } else {
        HWY_ALIGN float out[kLanes];
        hn::Store(sink.acc[i], DF(), out);
        std::copy_n(out, count - lane, y[i]);
      }
    }
  }
}

// The last panel's rows, with zeros up to 16 rows: no kernel reads past W.
HWY_NOINLINE const std::byte* padded_panel(const quant::QuantMatrix& w, int64_t row, int64_t count) {
  static thread_local std::vector<std::byte> copy;
  copy.assign(static_cast<size_t>(kWRows * w.row_bytes()), std::byte{0});
  std::memcpy(copy.data(), w.data + row * w.row_bytes(), static_cast<size_t>(count * w.row_bytes()));
  return copy.data();
}

template <class F, int M>
void direct_product(const QuantGemm& g, int64_t row, int64_t rows) {
  for (int64_t j = row; j < row + rows; j += kWRows) {
    const int64_t count = std::min(kWRows, row + rows - j);
    const std::byte* base =
        j + kWRows <= g.w.rows ? g.w.data + j * g.w.row_bytes() : padded_panel(g.w, j, g.w.rows - j);
    for (int64_t first = 0; first < g.m; first += M) {
      direct_panel<F, M>(g, base, first, std::min<int64_t>(M, g.m - first), j, count);
    }
  }
}

// Micro-tiles: MR rows of x by two vectors of W's rows. With 32 registers 12 sums and as many accumulators
// fit, with 16 registers 6. MR is a multiple of kMicroStep, which divides kXRows: the rows past x's last that
// a tile computes are there, and zero.
#if HWY_TARGET == HWY_AVX3 || HWY_TARGET == HWY_AVX3_DL || HWY_TARGET == HWY_NEON
constexpr int kMicroRows = 6;
constexpr int kMicroStep = 2;
#else
constexpr int kMicroRows = 3;
constexpr int kMicroStep = 1;
#endif
constexpr int kMicroVectors = 2;
constexpr int kMicroWidth = kMicroVectors * kLanes;

// acc[MR, kMicroWidth] of y (+)= groups [0, groups) of a tile. panel[j]: the panel of vector j; lane[j]: its
// first lane there. x: MR rows from row `first` of an x-panel.
template <class K, int MR>
HWY_NOINLINE void micro(const GroupOf<K>* const* HWY_RESTRICT panels, const int* HWY_RESTRICT lane,
                        const XGroup* HWY_RESTRICT x, int64_t first, int64_t groups, float* HWY_RESTRICT y,
                        int64_t y_row, bool add) {
  using Dot = DotOf<K>;
  constexpr int NV = kMicroVectors;
  const DF d;
  VF acc[MR][NV];
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) {
      acc[i][j] = add ? hn::LoadU(d, y + i * y_row + j * kLanes) : hn::Zero(d);
    }
  }
  const GroupOf<K>* panel[NV] = {panels[0], panels[1]};
  constexpr int kCount = 8 / K::kSubs;
  constexpr int kSteps = std::min(kCount, Dot::kSteps);
#pragma GCC unroll 1
  for (int64_t g = 0; g < groups; ++g, ++x) {
#pragma GCC unroll 2
    for (int sub = 0; sub < K::kSubs; ++sub) {
      VI sum[MR][NV];
#pragma GCC unroll 8
      for (int i = 0; i < MR; ++i) {
        const XTerms terms{0, 0, &x->sum[0][first + i], kXRows};
#pragma GCC unroll 2
        for (int j = 0; j < NV; ++j) sum[i][j] = first_sum<K>(terms, sub);
      }
#pragma GCC unroll 8
      for (int s = 0; s < kCount; s += kSteps) {
        typename Dot::Part part[MR][NV];
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
          for (int j = 0; j < NV; ++j) part[i][j] = Dot::begin();
        }
#pragma GCC unroll 8
        for (int t = s; t < s + kSteps; ++t) {
          const int at = sub * kCount + t;
          VU w[NV];
#pragma GCC unroll 2
          for (int j = 0; j < NV; ++j) w[j] = hn::Load(DU(), panel[j]->codes[at] + lane[j]);
#pragma GCC unroll 8
          for (int i = 0; i < MR; ++i) {
            const VI four = broadcast_codes(x->codes[first + i] + 4 * at);
#pragma GCC unroll 2
            for (int j = 0; j < NV; ++j) part[i][j] = Dot::step(part[i][j], w[j], four);
          }
        }
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
          for (int j = 0; j < NV; ++j) sum[i][j] = Dot::end(sum[i][j], part[i][j]);
        }
      }
#pragma GCC unroll 2
      for (int j = 0; j < NV; ++j) {
        const VF scale = hn::Load(d, panel[j]->scale[sub] + lane[j]);
        VF bias = scale;
        if constexpr (K::kMinima) bias = hn::Load(d, panel[j]->bias[sub] + lane[j]);
#pragma GCC unroll 8
        for (int i = 0; i < MR; ++i) {
          const XTerms terms{x->scale[first + i], x->weighted[first + i], &x->sum[0][first + i], kXRows};
          acc[i][j] = add_group<K>(acc[i][j], sum[i][j], scale, bias, terms, sub);
        }
      }
    }
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) ++panel[j];
  }
#pragma GCC unroll 8
  for (int i = 0; i < MR; ++i) {
#pragma GCC unroll 2
    for (int j = 0; j < NV; ++j) hn::StoreU(acc[i][j], d, y + i * y_row + j * kLanes);
  }
}

// y[m, count] (+)= tile * x, for two panels of which `count` rows exist.
template <class K>
void tile_product(const QuantGemm& g, const XGroup* packed, const GroupOf<K>* tile, int64_t first_group,
                  int64_t groups, int64_t column, int64_t count, bool add) {
  const int64_t all_groups = g.w.cols / 32;
  const int64_t panel_rows = x_panel_rows(g.m);
  for (int64_t i = 0; i < g.m;) {
    const int64_t first = i % panel_rows;
    const int64_t rows = std::min({g.m - i, panel_rows - first, int64_t{kMicroRows}});
    const int64_t computed = (rows + kMicroStep - 1) / kMicroStep * kMicroStep;
    const XGroup* x = packed + i / panel_rows * all_groups + first_group;
    for (int64_t j = 0; j < count; j += kMicroWidth) {
      const GroupOf<K>* at[2] = {tile + j / kWRows * kTileGroups, tile + (j + kLanes) / kWRows * kTileGroups};
      const int lane[2] = {static_cast<int>(j % kWRows), static_cast<int>((j + kLanes) % kWRows)};
      const auto run = [&](float* y, int64_t y_row) {
        switch (computed / kMicroStep) {
          case 1:
            return micro<K, kMicroStep>(at, lane, x, first, groups, y, y_row, add);
          case 2:
            return micro<K, 2 * kMicroStep>(at, lane, x, first, groups, y, y_row, add);
          default:
            return micro<K, 3 * kMicroStep>(at, lane, x, first, groups, y, y_row, add);
        }
      };
      float* y = g.y + i * g.y_row + column + j;
      const int64_t width = std::min<int64_t>(count - j, kMicroWidth);
      if (width == kMicroWidth && rows == computed) {
        run(y, g.y_row);
      } else {
        HWY_ALIGN float part[kMicroRows * kMicroWidth] = {};
        for (int r = 0; r < rows && add; ++r) std::copy_n(y + r * g.y_row, width, part + r * kMicroWidth);
        run(part, kMicroWidth);
        for (int r = 0; r < rows; ++r) std::copy_n(part + r * kMicroWidth, width, y + r * g.y_row);
      }
    }
    i += rows;
  }
}

}  // namespace
}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();
#if HWY_TARGET == HWY_AVX3_DL
#include "kernels/quant_amx-inl.h"
#endif
HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace {

// Groups [first, first + groups) of the 16 rows at `base`. kCentred: codes minus their offset, signed.
template <class F, bool kCentred>
void decode_panel(const std::byte* base, int64_t stride, int64_t first_group, int64_t groups,
                  GroupOf<F>* out) {
  constexpr int64_t kBlockGroups = F::kElements / 32;
  const std::byte* from = base + first_group / kBlockGroups * F::kBytes;
#pragma GCC unroll 1
  for (int part = 0; part < kParts; ++part) {
    Rows rows = rows_at(from + part * kLanes * stride, stride);
    StoreSink<F, kCentred> sink{out, part * kLanes};
#pragma GCC unroll 1
    for (int64_t g = 0; g < groups; g += kBlockGroups) {
      F::block(rows, sink);
      rows.base += F::kBytes;
    }
  }
}

template <class F>
void tiled_product(const QuantGemm& g, const XGroup* packed, int64_t row, int64_t rows) {
  static thread_local Int8Scratch scratch;
  static_assert(sizeof(scratch.tile) >= 2 * kTileGroups * sizeof(GroupOf<F>));
  auto* tile = reinterpret_cast<GroupOf<F>*>(scratch.tile);
  const int64_t stride = g.w.row_bytes();
  const int64_t all_groups = g.w.cols / 32;
#if HWY_TARGET == HWY_AVX3_DL
  const bool amx = amx_enabled();
  if (amx) load_tile_config(F::kSubs, x_panel_rows(g.m));
#endif
  for (int64_t j = row; j < row + rows; j += 2 * kWRows) {
    const int64_t count = std::min(2 * kWRows, row + rows - j);
    const int panels = count > kWRows ? 2 : 1;
    const std::byte* base[2] = {};
    for (int p = 0; p < panels; ++p) {
      const int64_t at = j + p * kWRows;
      base[p] = at + kWRows <= g.w.rows ? g.w.data + at * stride : padded_panel(g.w, at, g.w.rows - at);
    }
    // W's next rows are asked for while these are computed.
    Prefetcher ahead{base[0] + 2 * kWRows * stride, base[0] + 2 * kWRows * stride};
    if (j + 4 * kWRows > g.w.rows) ahead.limit = ahead.next = nullptr;
    if (panels == 1) std::fill_n(scratch.tile, sizeof(scratch.tile), std::byte{0});
    for (int64_t first = 0; first < all_groups; first += kTileGroups) {
      const int64_t groups = std::min(kTileGroups, all_groups - first);
      const bool add = first > 0 || g.accumulate;
#if HWY_TARGET == HWY_AVX3_DL
      if (amx) {
        for (int p = 0; p < panels; ++p) {
          decode_panel<F, true>(base[p], stride, first, groups, tile + p * kTileGroups);
        }
        amx_tile<AmxKind<F>>(g, packed, tile, first, groups, j, count, ahead,
                             panels * kWRows * groups * F::kBytes / (F::kElements / 32));
        continue;
      }
#endif
      for (int p = 0; p < panels; ++p) {
        decode_panel<F, false>(base[p], stride, first, groups, tile + p * kTileGroups);
      }
      tile_product<KindOf<F>>(g, packed, tile, first, groups, j, count, add);
    }
  }
#if HWY_TARGET == HWY_AVX3_DL
  if (amx) release_tiles();
#endif
}

// Writes FP32 values, k by k.
template <class F>
struct FloatSink {
  float* out;
  int64_t stride;

  template <int kByte>
  HWY_INLINE void column(VU codes, VF scale, VF bias, float* to) const {
    VI code = hn::BitCast(DI(), low_bits(hn::ShiftRight<8 * kByte>(codes), 255));
    if constexpr (F::kSigned) {
      code = hn::ShiftRight<24>(hn::BitCast(DI(), hn::ShiftLeft<24 - 8 * kByte>(codes)));
    }
    if constexpr (F::kOffset != 0) code = hn::Sub(code, hn::Set(DI(), F::kOffset));
    VF value = hn::Mul(scale, to_float(code));
    if constexpr (F::kMinima) value = hn::Add(value, bias);
    hn::StoreU(value, DF(), to);
  }
  HWY_INLINE void group(const VU* HWY_RESTRICT w, const VF* HWY_RESTRICT scale, const VF* HWY_RESTRICT bias) {
#pragma GCC unroll 8
    for (int i = 0; i < 8; ++i) {
      const int sub = i * F::kSubs / 8;
      const VF b = F::kMinima ? bias[sub] : scale[sub];
      column<0>(w[i], scale[sub], b, out + (4 * i) * stride);
      column<1>(w[i], scale[sub], b, out + (4 * i + 1) * stride);
      column<2>(w[i], scale[sub], b, out + (4 * i + 2) * stride);
      column<3>(w[i], scale[sub], b, out + (4 * i + 3) * stride);
    }
    out += 32 * stride;
  }
};

template <class F>
void expand(const std::byte* base, int64_t row_bytes, int64_t begin, int64_t count, float* out,
            int64_t stride) {
  for (int part = 0; part < kParts; ++part) {
    Rows rows = rows_at(base + begin / F::kElements * F::kBytes + part * kLanes * row_bytes, row_bytes);
    FloatSink<F> sink{out + part * kLanes, stride};
#pragma GCC unroll 1
    for (int64_t c = 0; c < count; c += F::kElements) {
      F::block(rows, sink);
      rows.base += F::kBytes;
    }
  }
}

template <class F>
void product(const QuantGemm& g, const XGroup* packed, int64_t row, int64_t rows) {
  if (packed != nullptr) return tiled_product<F>(g, packed, row, rows);
  switch (g.m) {
    case 1:
      return direct_product<F, 1>(g, row, rows);
    case 2:
      return direct_product<F, std::min(2, kDirectRows)>(g, row, rows);
    default:
      return direct_product<F, kDirectRows>(g, row, rows);
  }
}

}  // namespace

// Calls fn with the decoder of an integer format.
template <typename Fn>
HWY_INLINE void with_decoder(quant::WeightType type, Fn&& fn) {
  using enum quant::WeightType;
  switch (type) {
    case kQ8_0:
      return fn(Decoder<kQ8_0>());
    case kQ4_0:
      return fn(Decoder<kQ4_0>());
    case kQ4_1:
      return fn(Decoder<kQ4_1>());
    case kQ5_0:
      return fn(Decoder<kQ5_0>());
    case kQ5_1:
      return fn(Decoder<kQ5_1>());
    case kQ2_K:
      return fn(Decoder<kQ2_K>());
    case kQ3_K:
      return fn(Decoder<kQ3_K>());
    case kQ4_K:
      return fn(Decoder<kQ4_K>());
    case kQ5_K:
      return fn(Decoder<kQ5_K>());
    case kQ6_K:
      return fn(Decoder<kQ6_K>());
    case kIQ4_NL:
      return fn(Decoder<kIQ4_NL>());
    case kIQ4_XS:
      return fn(Decoder<kIQ4_XS>());
    case kF32:
    case kF16:
    case kBF16:
    case kFp8Block:
      break;
  }
  HADAL_CHECK(false);
}

void int8_product_of_target(const QuantGemm& g, const XGroup* packed, int64_t row, int64_t rows) {
  with_decoder(g.w.format->type, [&](auto decoder) { product<decltype(decoder)>(g, packed, row, rows); });
}

void expand_panel_of_target(const quant::QuantMatrix& w, int64_t row, int64_t begin, int64_t count,
                            float* out, int64_t stride) {
  const std::byte* base =
      row + kWRows <= w.rows ? w.data + row * w.row_bytes() : padded_panel(w, row, w.rows - row);
  with_decoder(w.format->type, [&](auto decoder) {
    expand<decltype(decoder)>(base, w.row_bytes(), begin, count, out, stride);
  });
}

const char* int8_name_of_target() { return kInt8Name; }

double int8_loop_of_target(int64_t rounds, int32_t* sink) {
#if HWY_TARGET == HWY_AVX3_DL
  if (amx_enabled()) return amx_loop(rounds);
#endif
  constexpr int kChains = 12;
  using Dot = Dot<4, false>;
  typename Dot::Part part[kChains];
#pragma GCC unroll 16
  for (int i = 0; i < kChains; ++i) part[i] = Dot::begin();
  const VU codes = hn::Set(DU(), 0x01020304u + static_cast<uint32_t>(*sink));
  for (int64_t r = 0; r < rounds; ++r) {
#pragma GCC unroll 16  // the sums as x: or the compiler would find twelve times the same product
    for (int i = 0; i < kChains; ++i) part[i] = Dot::step(part[i], codes, hn::BitCast(DI(), part[i]));
  }
  VI sum = hn::Zero(DI());
  for (int i = 0; i < kChains; ++i) sum = Dot::end(sum, part[i]);
  *sink = hn::GetLane(sum);
  return static_cast<double>(rounds) * kChains * kLanes * 8;
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {

HWY_EXPORT(int8_product_of_target);
HWY_EXPORT(expand_panel_of_target);
HWY_EXPORT(int8_name_of_target);
HWY_EXPORT(int8_loop_of_target);

namespace {
[[maybe_unused]] const bool kSimdChosen = apply_simd_environment();
}  // namespace

void int8_product(const QuantGemm& g, const XGroup* packed, int64_t row, int64_t rows) {
  HWY_DYNAMIC_DISPATCH(int8_product_of_target)(g, packed, row, rows);
}

void expand_panel(const quant::QuantMatrix& w, int64_t row, int64_t begin, int64_t count, float* out,
                  int64_t stride) {
  HWY_DYNAMIC_DISPATCH(expand_panel_of_target)(w, row, begin, count, out, stride);
}

std::string int8_name() { return amx_enabled() ? "amx" : HWY_DYNAMIC_DISPATCH(int8_name_of_target)(); }

double int8_loop(int64_t rounds, int32_t* sink) {
  return HWY_DYNAMIC_DISPATCH(int8_loop_of_target)(rounds, sink);
}

void pack_x(const QuantGemm& g, int64_t panel, XGroup* out) {
  const Activations& x = *g.x;
  const int64_t groups = x.groups();
  const int64_t first = panel * x_panel_rows(g.m);
  const int64_t count = std::min(x_panel_rows(g.m), g.m - first);
  for (int64_t r = 0; r < kXRows; ++r) {
    if (r >= count) {
      for (int64_t q = 0; q < groups; ++q) {
        std::memset(out[q].codes[r], 0, 32);
        out[q].scale[r] = out[q].weighted[r] = 0.0f;
        out[q].sum[0][r] = out[q].sum[1][r] = 0;
      }
      continue;
    }
    const int64_t row = g.rows == nullptr ? first + r : g.rows[first + r];
    const int8_t* codes = x.codes(row);
    const float* scales = x.scales(row);
    const int32_t* sums = x.sums(row);
    for (int64_t q = 0; q < groups; ++q) {
      std::memcpy(out[q].codes[r], codes + 32 * q, 32);
      out[q].scale[r] = scales[q];
      out[q].weighted[r] = scales[q] * static_cast<float>(sums[2 * q] + sums[2 * q + 1]);
      out[q].sum[0][r] = sums[2 * q];
      out[q].sum[1][r] = sums[2 * q + 1];
    }
  }
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
