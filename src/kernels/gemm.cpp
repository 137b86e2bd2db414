// Blocking: a task is a range of rows and columns of one problem. For each block of k (bounds depend on k
// alone) it packs the B columns once into panels that stay in the L2 cache, then walks tiles of rows; a tile
// of A stays in L1 while the panels stream past it. Rows and columns can be cut anywhere: no element's sum
// depends on the cut.
#include "kernels/gemm.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <vector>

#include "kernels/simd.h"
#include "kernels/simd_targets.h"
#include "tensor/tensor.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/gemm.cpp"
#include "hwy/foreach_target.h"
#include "kernels/gemm_pack-inl.h"

#ifndef HADAL_KERNELS_GEMM_TASK
#define HADAL_KERNELS_GEMM_TASK
namespace hadal::kernels {

// Longest block of k: the tile of A (kMr rows) must stay in L1, and a sum is written to C once per block.
constexpr int64_t kLongestBlock = 384;

struct GemmTask {
  int32_t problem;
  int64_t row, rows, column, columns;
};

// What a thread keeps between tasks. `packed` names the B columns in `b`, so that the next task on the same
// columns need not pack them again.
struct GemmScratch {
  tensor::Buffer a, b;
  uint64_t packed_call = 0;
  int32_t packed_problem = -1;
  int64_t packed_column = -1;
};

struct GemmShape {
  int64_t tile_rows, tile_columns;
  int64_t packed_b_floats;  // room for packed B: half of the L2 cache that such a processor has
  int64_t flop_per_cycle;   // two FMA units
};

}  // namespace hadal::kernels
#endif

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {

GemmShape gemm_shape() {
  constexpr int64_t kPackedBBytes = kLanes >= 16 ? 768 * 1024 : 384 * 1024;
  return {kMr, kNr, kPackedBBytes / 4, kLanes * 4};
}

namespace {

// Runs a tile kernel on panels whose last one may be narrower than its vectors: then through a small copy.
HWY_INLINE void run_tile(Micro kernel, int64_t k, const float* a, int64_t a_stride, const float* b,
                         int64_t b_stride, float* c, int64_t c_stride, int rows, int columns, int width,
                         bool add) {
  if (columns == width) {
    kernel(k, a, a_stride, b, b_stride, c, c_stride, add);
    return;
  }
  HWY_ALIGN float tile[kMr * kNr];
  kernel(k, a, a_stride, b, b_stride, tile, kNr, false);
  for (int i = 0; i < rows; ++i) {
    float* out = c + i * c_stride;
    for (int j = 0; j < columns; ++j) out[j] = add ? out[j] + tile[i * kNr + j] : tile[i * kNr + j];
  }
}

// A few rows (at most kSkinnyRows; A by row, B by column), with W read in place. All blocks of k of one panel
// before the next panel: its rows lie on as many pages, and each page is visited once.
void skinny_task(const Gemm& g, const GemmTask& t, int64_t block) {
  const int rows = static_cast<int>(t.rows);
  const int64_t end = t.column + t.columns;
  constexpr int kWidest = kSkinnyVectors * kSkinnyLanes;
  int width = kWidest;
  for (int64_t j = t.column; j < end; j += width) {
    const int columns = static_cast<int>(std::min<int64_t>(kWidest, end - j));
    width = columns >= kSkinnyLanes ? columns / kSkinnyLanes * kSkinnyLanes : columns;
    float* c = g.c + t.row * g.c_row + j;
    for (int64_t p = 0; p < g.k; p += block) {
      const int64_t k = std::min(block, g.k - p);
      const float* a = g.a + t.row * g.a_row + p;
      const float* w = g.b + j * g.b_col + p;
      const bool add = g.accumulate || p > 0;
      if (columns >= kSkinnyLanes) {
        skinny_for(read_w(g.b_col), rows, width / kSkinnyLanes)(k, a, g.a_row, w, g.b_col, c, g.c_row, add);
        continue;
      }
      HWY_ALIGN float packed[kLanes * kLongestBlock];
      pack_b(w, g.b_row, g.b_col, k, columns, packed);
      run_tile(micro_for(ReadA::kByRow, rows, 1), k, a, g.a_row, packed, kLanes, c, g.c_row, rows, columns,
               kLanes, add);
    }
  }
}
static_assert(kSkinnyRows <= kMr && kSkinnyLanes <= kLanes);

}  // namespace

void gemm_task(const Gemm& g, const GemmTask& t, uint64_t call, GemmScratch& scratch) {
  const int64_t blocks = (g.k + kLongestBlock - 1) / kLongestBlock;
  const int64_t block = ((g.k + blocks - 1) / blocks + 3) / 4 * 4;
  const bool a_by_row = g.a_col == 1;
  if (t.rows <= kSkinnyRows && a_by_row && g.b_row == 1 && g.b_col != 1) {
    skinny_task(g, t, block);
    return;
  }
  const int64_t tiles = (t.rows + kMr - 1) / kMr;
  // B whose rows are contiguous can be read in place; a copy pays from the second tile on.
  const bool direct = g.b_col == 1 && tiles == 1;
  // Rows that many cache ways apart would push each other out of L1; then a packed copy is read instead. A by
  // column is worth a copy when more than two panels read it.
  const bool pack_tiles = a_by_row ? g.a_row % 1024 == 0 && kMr > 8 : t.columns > 2 * kNr;
  if (pack_tiles) scratch.a.resize(kPackedTiles * kPackedAStride * kLongestBlock);
  const int64_t whole_panels = t.columns / kNr * kNr;
  const int tail = static_cast<int>(t.columns - whole_panels);
  const int tail_width = panel_width(tail);

  for (int64_t p = 0; p < g.k; p += block) {
    const int64_t k = std::min(block, g.k - p);
    const bool add = g.accumulate || p > 0;
    const float* b = g.b + p * g.b_row + t.column * g.b_col;
    const float* panels = b;  // the first whole panel, and the distance to the next
    int64_t panel_step = kNr;
    int64_t panel_stride = g.b_row;
    const float* tail_panel = b + whole_panels;
    int64_t tail_stride = g.b_row;
    if (!direct || tail != tail_width) {
      scratch.b.resize(std::max(gemm_shape().packed_b_floats, (t.columns + kLanes) * block));
      float* packed_b = scratch.b.data();
      const bool packed = blocks == 1 && scratch.packed_call == call && scratch.packed_problem == t.problem &&
                          scratch.packed_column == t.column;
      if (!packed) {
        const int64_t first = direct ? whole_panels : 0;
        pack_b(b + first * g.b_col, g.b_row, g.b_col, k, t.columns - first, packed_b + first * k);
        scratch.packed_call = call;
        scratch.packed_problem = t.problem;
        scratch.packed_column = t.column;
      }
      if (!direct) {
        panels = packed_b;
        panel_step = kNr * k;
        panel_stride = kNr;
      }
      tail_panel = packed_b + whole_panels * k;
      tail_stride = tail_width;
    }
    for (int64_t tile = 0; tile < tiles; ++tile) {
      const int64_t i = t.row + tile_begin(t.rows, tiles, tile);
      const int rows = static_cast<int>(t.row + tile_begin(t.rows, tiles, tile + 1) - i);
      const float* a = g.a + i * g.a_row + p * g.a_col;
      int64_t a_stride = a_by_row ? g.a_row : g.a_col;
      ReadA read = a_by_row ? ReadA::kByRow : ReadA::kByColumn;
      if (pack_tiles) {
        if (tile % kPackedTiles == 0) {
          pack_a(g.a + t.row * g.a_row + p * g.a_col, g.a_row, g.a_col, t.rows, g.m - t.row, tiles, tile,
                 std::min(tile + kPackedTiles, tiles), k, scratch.a.data());
        }
        a = scratch.a.data() + tile % kPackedTiles * kPackedAStride * k;
        a_stride = kPackedAStride;
        read = ReadA::kByColumn;
      }
      float* c = g.c + i * g.c_row + t.column;
      const Micro whole = micro_for(read, rows, kNv);
      const float* panel = panels;
      for (int64_t j = 0; j < whole_panels; j += kNr, panel += panel_step) {
        whole(k, a, a_stride, panel, panel_stride, c + j, g.c_row, add);
      }
      if (tail > 0) {
        run_tile(micro_for(read, rows, tail_width / kLanes), k, a, a_stride, tail_panel, tail_stride,
                 c + whole_panels, g.c_row, rows, tail, tail_width, add);
      }
    }
  }
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {

HWY_EXPORT(gemm_shape);
HWY_EXPORT(gemm_task);

namespace {

[[maybe_unused]] const bool kSimdChosen = apply_simd_environment();

GemmScratch& thread_scratch() {
  static thread_local GemmScratch scratch;
  return scratch;
}

// Names a call, so that a thread's packed B is never taken for that of another call.
uint64_t next_call() {
  static std::atomic<uint64_t> calls{0};
  return calls.fetch_add(1, std::memory_order_relaxed) + 1;
}

int64_t ceil_div(int64_t a, int64_t b) { return (a + b - 1) / b; }

// Columns of B that fit the room for packed panels, in whole panels.
int64_t widest_columns(const GemmShape& shape, int64_t k) {
  const int64_t fit = shape.packed_b_floats / std::max<int64_t>(1, std::min(k, kLongestBlock));
  return std::max(shape.tile_columns, fit / shape.tile_columns * shape.tile_columns);
}

// Rough cycles: reading (and packing) B, then the multiply-adds.
int64_t cost(const GemmShape& shape, int64_t m, int64_t n, int64_t k) {
  return n * k / 3 + 2 * m * n * k / shape.flop_per_cycle;
}

// C of a product without a sum.
void empty_sum(const Gemm& g) {
  if (g.accumulate) return;
  for (int64_t i = 0; i < g.m; ++i) std::fill_n(g.c + i * g.c_row, g.n, 0.0f);
}

// Cuts a problem into tasks of about `target` cycles. Columns first as far as the cache asks; then rows, each
// task at least four tiles high, because B is packed per thread; then columns again (few rows: decode).
void cut(const GemmShape& shape, const Gemm& g, int32_t problem, int64_t target,
         std::vector<GemmTask>& tasks) {
  int64_t column_cuts = ceil_div(g.n, widest_columns(shape, g.k));
  const int64_t pieces = std::max<int64_t>(1, cost(shape, g.m, g.n, g.k) / std::max<int64_t>(1, target));
  const int64_t most_row_cuts = std::max<int64_t>(1, g.m / (4 * shape.tile_rows));
  const int64_t row_cuts = std::clamp<int64_t>(ceil_div(pieces, column_cuts), 1, most_row_cuts);
  if (row_cuts * column_cuts < pieces) column_cuts = ceil_div(pieces, row_cuts);
  const int64_t panels = ceil_div(g.n, shape.tile_columns);
  column_cuts = std::min(column_cuts, panels);
  for (int64_t jc = 0; jc < column_cuts; ++jc) {
    const int64_t column = panels * jc / column_cuts * shape.tile_columns;
    const int64_t column_end = std::min(g.n, panels * (jc + 1) / column_cuts * shape.tile_columns);
    for (int64_t ic = 0; ic < row_cuts; ++ic) {
      const int64_t row = g.m * ic / row_cuts;
      tasks.push_back({problem, row, g.m * (ic + 1) / row_cuts - row, column, column_end - column});
    }
  }
}

}  // namespace

void gemm(const Gemm& g) {
  if (g.m <= 0 || g.n <= 0) return;
  if (g.k <= 0) return empty_sum(g);
  const int64_t widest = widest_columns(HWY_DYNAMIC_DISPATCH(gemm_shape)(), g.k);
  const uint64_t call = next_call();
  for (int64_t column = 0; column < g.n; column += widest) {
    const GemmTask task{0, 0, g.m, column, std::min(widest, g.n - column)};
    HWY_DYNAMIC_DISPATCH(gemm_task)(g, task, call, thread_scratch());
  }
}

void gemm(std::span<const Gemm> problems, base::ThreadPool& pool) {
  if (pool.size() == 1) {
    for (const Gemm& g : problems) gemm(g);
    return;
  }
  static thread_local std::vector<GemmTask> tasks;
  tasks.clear();
  const GemmShape shape = HWY_DYNAMIC_DISPATCH(gemm_shape)();
  int64_t total = 0;
  for (const Gemm& g : problems) total += cost(shape, g.m, g.n, g.k);
  // Small enough that no thread waits long for the last one, large enough (a few microseconds) to pay for
  // handing out.
  constexpr int64_t kTasksPerThread = 12;
  constexpr int64_t kLeastCycles = 10000;
  const int64_t target = std::max(kLeastCycles, total / (pool.size() * kTasksPerThread));
  for (size_t i = 0; i < problems.size(); ++i) {
    const Gemm& g = problems[i];
    if (g.m <= 0 || g.n <= 0) continue;
    if (g.k <= 0) {
      empty_sum(g);
      continue;
    }
    cut(shape, g, static_cast<int32_t>(i), target, tasks);
  }
  const uint64_t call = next_call();
  const auto run = HWY_DYNAMIC_DISPATCH(gemm_task);
  const std::vector<GemmTask>& list = tasks;  // this thread's, also when another thread reads it
  pool.run(static_cast<int64_t>(list.size()), [&](int64_t i, int) {
    const GemmTask& task = list[static_cast<size_t>(i)];
    run(problems[static_cast<size_t>(task.problem)], task, call, thread_scratch());
  });
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
