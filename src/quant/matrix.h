// A weight matrix in its stored format, borrowed: usually a view of a memory-mapped checkpoint.
#pragma once

#include <cstddef>
#include <cstdint>

#include "quant/fp8_block.h"
#include "quant/registry.h"

namespace hadal::quant {

// Row-major [rows, cols]; cols is a whole number of blocks; rows lie format->bytes(cols) bytes apart, and
// `data` need not be aligned.
struct QuantMatrix {
  const WeightFormat* format = nullptr;
  const std::byte* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  // WeightType::kFp8Block: row r, column c is scaled by
  // scale_inv[(first_row + r) / block.rows * scale_cols + c / block.cols].
  const float* scale_inv = nullptr;
  int64_t scale_cols = 0;
  int64_t first_row = 0;
  Fp8BlockShape block = {};

  bool empty() const { return rows == 0; }
  int64_t row_bytes() const { return format->bytes(cols); }
  int64_t bytes() const { return rows * row_bytes(); }
  QuantMatrix slice_rows(int64_t begin, int64_t count) const {
    QuantMatrix part = *this;
    part.data += begin * row_bytes();
    part.rows = count;
    part.first_row += begin;
    return part;
  }
};

// Values [begin, begin + count) of a row as FP32; both are multiples of format->block_elements.
void row_to_float(const QuantMatrix& w, int64_t row, int64_t begin, int64_t count, float* out);

}  // namespace hadal::quant
