#include "ops/embedding.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

void embedding(ConstMatrix table, std::span<const int32_t> ids, Matrix out, base::ThreadPool& pool) {
  HADAL_CHECK(static_cast<int64_t>(ids.size()) == out.rows && table.cols == out.cols);
  base::parallel_for(pool, out.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i)
      std::copy_n(table.row(ids[static_cast<size_t>(i)]), table.cols, out.row(i));
  });
}

void embedding_backward(ConstMatrix dout, std::span<const int32_t> ids, Matrix dtable,
                        base::ThreadPool& pool) {
  HADAL_CHECK(static_cast<int64_t>(ids.size()) == dout.rows && dtable.cols == dout.cols);
  // Columns are shared out, so that the sum for one token keeps the order of i.
  base::parallel_for(pool, dtable.cols, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = 0; i < dout.rows; ++i) {
      kernels::add(dout.row(i) + begin, dtable.row(ids[static_cast<size_t>(i)]) + begin, end - begin);
    }
  });
}

}  // namespace hadal::ops
