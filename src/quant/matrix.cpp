#include "quant/matrix.h"

namespace hadal::quant {

void row_to_float(const QuantMatrix& w, int64_t row, int64_t begin, int64_t count, float* out) {
  const WeightFormat& format = *w.format;
  format.to_float(w.data + row * w.row_bytes() + format.bytes(begin), count, out);
  if (!format.block_scaled) return;
  const float* scales = w.scale_inv + (w.first_row + row) / w.block.rows * w.scale_cols;
  for (int64_t i = 0; i < count; ++i) out[i] *= scales[(begin + i) / w.block.cols];
}

}  // namespace hadal::quant
