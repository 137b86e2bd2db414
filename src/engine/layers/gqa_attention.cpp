#include "engine/layers/gqa_attention.h"

#include <algorithm>

#include "kernels/rowwise.h"

namespace hadal::engine {

namespace {

void add_bias(const model::StoredVector& bias, float* row) {
  if (!bias.empty()) kernels::add(bias.data, row, bias.size);
}

// Norm (where the model has one) and rotation of each head of a row.
void finish_heads(const LayerContext& context, const model::StoredVector& norm, int64_t heads,
                  int64_t position, float* row) {
  const auto& c = context.config;
  for (int64_t h = 0; h < heads; ++h) {
    float* head = row + h * c.head_dim;
    if (!norm.empty()) {
      kernels::rms_norm(head, norm.data, static_cast<float>(c.rms_norm_eps), head, c.head_dim);
    }
    context.constants.rope.rotate(head, position);
  }
}

}  // namespace

void gqa_attention(const LayerContext& context, const model::StoredGqa& w, ConstMatrix x, Matrix cache,
                   GqaScratch& s, Matrix y) {
  const auto& c = context.config;
  const int64_t rows = x.rows, first = cache.rows - rows, dim = c.head_dim;
  const int64_t heads = c.num_attention_heads, kv_heads = c.num_key_value_heads;
  s.q.resize(rows * heads * dim);
  s.k.resize(rows * kv_heads * dim);
  s.v.resize(rows * kv_heads * dim);
  s.heads_out.resize(rows * heads * dim);
  const auto q = s.q.view(rows, heads * dim), k = s.k.view(rows, kv_heads * dim),
             v = s.v.view(rows, kv_heads * dim);
  const auto heads_out = s.heads_out.view(rows, heads * dim);
  context.prepare(s.inputs, x, {&w.q_proj, &w.k_proj, &w.v_proj});
  context.multiply(
      {product(s.inputs, w.q_proj, q), product(s.inputs, w.k_proj, k), product(s.inputs, w.v_proj, v)});
  base::parallel_for(context.pool, rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      add_bias(w.q_bias, q.row(r));
      add_bias(w.k_bias, k.row(r));
      add_bias(w.v_bias, v.row(r));
      finish_heads(context, w.q_norm, heads, first + r, q.row(r));
      finish_heads(context, w.k_norm, kv_heads, first + r, k.row(r));
      float* cached = cache.row(first + r);
      for (int64_t h = 0; h < kv_heads; ++h) {
        cached = std::copy_n(k.row(r) + h * dim, dim, cached);
        cached = std::copy_n(v.row(r) + h * dim, dim, cached);
      }
    }
  });
  const auto shape = model::attention_shape(c, context.constants, 1, rows, cache.rows);
  ops::attention(shape, q, cache, {}, heads_out, nullptr, context.pool);
  context.prepare(s.outputs, heads_out, {&w.o_proj});
  context.multiply({product(s.outputs, w.o_proj, y, /*accumulate=*/true)});
  if (w.o_bias.empty()) return;
  for (int64_t r = 0; r < rows; ++r) add_bias(w.o_bias, y.row(r));
}

}  // namespace hadal::engine
