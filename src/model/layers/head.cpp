#include "model/layers/head.h"

#include <algorithm>

#include "model/layers/projection.h"

namespace hadal::model {

namespace {

// Rows of logits that exist at one time: bounds the largest buffer to kLogitRows * vocab_size.
constexpr int64_t kLogitRows = 1024;

template <typename Fn>
void for_tiles(const Weight& head, tensor::ConstMatrix hidden, tensor::Buffer& logits, base::ThreadPool& pool,
               Fn&& fn) {
  logits.resize(std::min(kLogitRows, hidden.rows) * head.rows);
  for (int64_t begin = 0; begin < hidden.rows; begin += kLogitRows) {
    const int64_t rows = std::min(kLogitRows, hidden.rows - begin);
    const auto part = hidden.slice_rows(begin, rows);
    const auto out = logits.view(rows, head.rows);
    project(head, part, out, pool);
    fn(begin, part, out);
  }
}

}  // namespace

void head_forward(const Weight& head, tensor::ConstMatrix hidden, tensor::Buffer& logits, const HeadTile& see,
                  base::ThreadPool& pool) {
  for_tiles(head, hidden, logits, pool,
            [&](int64_t begin, tensor::ConstMatrix, tensor::Matrix out) { see(begin, out); });
}

void head_backward(const Weight& head, tensor::ConstMatrix hidden, tensor::Buffer& logits,
                   const HeadTile& to_gradient, tensor::Matrix d_hidden, base::ThreadPool& pool) {
  for_tiles(head, hidden, logits, pool, [&](int64_t begin, tensor::ConstMatrix part, tensor::Matrix out) {
    to_gradient(begin, out);
    project_backward(head, part, out, d_hidden.slice_rows(begin, part.rows), pool);
  });
}

}  // namespace hadal::model
