// Between quant_gemm.cpp, which cuts products into tasks, and the kernels of integer formats.
#pragma once

#include <cstdint>

#include "kernels/quant_gemm.h"

namespace hadal::kernels {

// Rows of x side by side, as the kernels for many rows read them: one XGroup for 32 values of up to 16 rows.
// Rows past the panel's are zero.
constexpr int64_t kXRows = 16;
struct alignas(64) XGroup {
  int8_t codes[kXRows][32];
  float scale[kXRows];
  float weighted[kXRows];  // scale * sum of the 32 codes
  int32_t sum[2][kXRows];  // of 16 codes each
};

// Rows of W taken side by side: one lane of the widest vector each.
constexpr int64_t kWRows = 16;

// Products of at most this many rows read W once, straight into registers; larger ones through PackedX and
// tiles of W.
constexpr int64_t kFewRows = 4;

// m rows are cut into panels of equal height, a multiple of 4 (24 rows: 12 and 12); the last may be lower.
inline int64_t x_panel_rows(int64_t m) {
  const int64_t panels = (m + kXRows - 1) / kXRows;
  return ((m + panels - 1) / panels + 3) / 4 * 4;
}
inline int64_t x_panels(int64_t m) { return (m + x_panel_rows(m) - 1) / x_panel_rows(m); }
// XGroups of m rows: [x_panels(m)][k / 32].
inline int64_t packed_x_groups(int64_t m, int64_t k) { return x_panels(m) * (k / 32); }
// Packs the rows of x-panel `panel` of g (all groups).
void pack_x(const QuantGemm& g, int64_t panel, XGroup* out);

// y[:, row .. row + rows) of g. g.m <= kFewRows: packed is null. Otherwise what pack_x wrote for all panels.
// row is a multiple of kWRows.
void int8_product(const QuantGemm& g, const XGroup* packed, int64_t row, int64_t rows);

// Values [begin, begin + count) of kWRows rows from `row` on, as FP32 and as row_to_float gives them, k by k:
// out[c * stride + r]. Integer formats; begin and count are whole blocks; rows past the last are zero times
// something. The caller gives room for kWRows lanes.
void expand_panel(const quant::QuantMatrix& w, int64_t row, int64_t begin, int64_t count, float* out,
                  int64_t stride);

// The same of one row of any other format, one after the other; any begin and count.
void expand_row(const quant::QuantMatrix& w, int64_t row, int64_t begin, int64_t count, float* out);

// The 8-bit instruction that int8_product uses now: "amx", "vnni", "maddubs", "portable".
std::string int8_name();

// That instruction, on registers alone: returns the 8-bit operations done (a multiply-add counts two).
double int8_loop(int64_t rounds, int32_t* sink);

}  // namespace hadal::kernels
