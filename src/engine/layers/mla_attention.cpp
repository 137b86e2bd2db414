#include "engine/layers/mla_attention.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "kernels/gemm.h"
#include "kernels/rowwise.h"
#include "ops/rms_norm.h"

namespace hadal::engine {

namespace {

using kernels::QuantGemmTransposed;

// Queries into s.q, rotated, and the latents of x into the last rows of the cache.
void project(const LayerContext& context, const model::StoredMla& w, ConstMatrix x, Matrix cache,
             MlaScratch& s) {
  const auto& c = context.config;
  const int64_t rows = x.rows, latent = c.kv_lora_rank, first = cache.rows - rows;
  s.q.resize(rows * c.num_attention_heads * c.qk_head_dim());
  s.kv_a.resize(rows * c.cache_dim());
  const auto q = s.q.view(rows, c.num_attention_heads * c.qk_head_dim());
  const auto kv_a = s.kv_a.view(rows, c.cache_dim());
  const QuantMatrix& from_x = c.q_lora_rank > 0 ? w.q_a_proj : w.q_proj;
  context.prepare(s.inputs, x, {&from_x, &w.kv_a_proj_with_mqa});
  if (c.q_lora_rank > 0) {
    s.q_a.resize(rows * c.q_lora_rank);
    const auto q_a = s.q_a.view(rows, c.q_lora_rank);
    context.multiply({product(s.inputs, w.q_a_proj, q_a), product(s.inputs, w.kv_a_proj_with_mqa, kv_a)});
    ops::rms_norm(q_a, w.q_a_layernorm.data, c.rms_norm_eps, q_a, nullptr, context.pool);
    context.prepare(s.q_a_inputs, q_a, {&w.q_b_proj});
    context.multiply({product(s.q_a_inputs, w.q_b_proj, q)});
  } else {
    context.multiply({product(s.inputs, w.q_proj, q), product(s.inputs, w.kv_a_proj_with_mqa, kv_a)});
  }
  ops::rms_norm(kv_a.slice_cols(0, latent), w.kv_a_layernorm.data, c.rms_norm_eps,
                cache.slice_rows(first, rows).slice_cols(0, latent), nullptr, context.pool);
  base::parallel_for(context.pool, rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t h = 0; h < c.num_attention_heads; ++h) {
        context.constants.rope.rotate(q.row(r) + h * c.qk_head_dim() + c.qk_nope_head_dim, first + r);
      }
      float* k_pe = cache.row(first + r) + latent;
      std::copy_n(kv_a.row(r) + latent, c.qk_rope_head_dim, k_pe);
      context.constants.rope.rotate(k_pe, first + r);
    }
  });
}

void expand_keys_and_values(const LayerContext& context, const model::KvBProj& w, ConstMatrix latents,
                            Matrix kv, MlaScratch& s) {
  const auto& c = context.config;
  if (!w.is_split()) {
    context.prepare(s.latents, latents, {&w.stacked});
    context.multiply({product(s.latents, w.stacked, kv)});
    return;
  }
  const int64_t latent = c.kv_lora_rank, nope = c.qk_nope_head_dim, v = c.v_head_dim;
  context.prepare(s.latents, latents, {&w.v});
  std::vector<QuantGemmTransposed> keys;
  std::vector<QuantGemm> values;
  for (int64_t h = 0; h < c.num_attention_heads; ++h) {
    float* out = kv.data + h * (nope + v);
    keys.push_back(
        {latents.data, latents.stride, latents.rows, w.k.slice_rows(h * latent, latent), out, kv.stride});
    values.push_back({&s.latents, nullptr, latents.rows, w.v.slice_rows(h * v, v), out + nope, kv.stride});
  }
  kernels::quant_gemm_transposed(keys, context.pool);
  kernels::quant_gemm(values, context.precision, context.pool);
}

void attend_expanded(const LayerContext& context, const model::StoredMla& w, ConstMatrix cache,
                     int64_t queries, MlaScratch& s) {
  const auto& c = context.config;
  const int64_t kv_cols = c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim);
  s.kv.resize(cache.rows * kv_cols);
  const auto kv = s.kv.view(cache.rows, kv_cols);
  expand_keys_and_values(context, w.kv_b_proj, cache.slice_cols(0, c.kv_lora_rank), kv, s);
  const auto shape = model::attention_shape(c, context.constants, 1, queries, cache.rows);
  ops::attention(shape, s.q.view(queries, c.num_attention_heads * c.qk_head_dim()), kv,
                 cache.slice_cols(c.kv_lora_rank, c.qk_rope_head_dim),
                 s.heads_out.view(queries, c.num_attention_heads * c.v_head_dim), nullptr, context.pool);
}

void attend_absorbed(const LayerContext& context, const model::StoredMla& w, ConstMatrix cache,
                     MlaScratch& s) {
  const auto& c = context.config;
  const model::KvBProj& b = w.kv_b_proj;
  const int64_t heads = c.num_attention_heads, latent = c.kv_lora_rank, keys = cache.rows;
  const int64_t nope = c.qk_nope_head_dim, v = c.v_head_dim;
  s.q_latent.resize(heads * c.cache_dim());
  s.scores.resize(heads * keys);
  s.context.resize(heads * latent);
  const auto q = s.q.view(heads, c.qk_head_dim());
  const auto q_latent = s.q_latent.view(heads, c.cache_dim());
  const auto summed = s.context.view(heads, latent);

  std::vector<int32_t> head_rows(static_cast<size_t>(heads));  // head h reads row h
  std::iota(head_rows.begin(), head_rows.end(), 0);
  for (int64_t h = 0; h < heads; ++h)
    std::copy_n(q.row(h) + nope, c.qk_rope_head_dim, q_latent.row(h) + latent);
  if (b.is_split()) {
    context.prepare(s.q_a_inputs, q.slice_cols(0, nope), {&b.k});
    std::vector<QuantGemm> absorb;
    for (int64_t h = 0; h < heads; ++h) {
      absorb.push_back({&s.q_a_inputs, head_rows.data() + h, 1, b.k.slice_rows(h * latent, latent),
                        q_latent.row(h), q_latent.stride});
    }
    kernels::quant_gemm(absorb, context.precision, context.pool);
  } else {
    std::vector<QuantGemmTransposed> absorb;
    for (int64_t h = 0; h < heads; ++h) {
      absorb.push_back({q.row(h), q.stride, 1, b.stacked.slice_rows(h * (nope + v), nope), q_latent.row(h),
                        q_latent.stride});
    }
    kernels::quant_gemm_transposed(absorb, context.pool);
  }

  kernels::gemm(kernels::gemm_nt(q_latent.data, q_latent.stride, cache.data, cache.stride, s.scores.data(),
                                 keys, heads, keys, c.cache_dim()),
                context.pool);
  for (int64_t h = 0; h < heads; ++h) {
    kernels::scale(context.constants.softmax_scale, s.scores.data() + h * keys, keys);
    kernels::softmax(s.scores.data() + h * keys, keys);
  }
  kernels::gemm(kernels::gemm_nn(s.scores.data(), keys, cache.data, cache.stride, summed.data, summed.stride,
                                 heads, latent, keys),
                context.pool);

  context.prepare(s.latents, summed, {b.is_split() ? &b.v : &b.stacked});
  std::vector<QuantGemm> expand;
  for (int64_t h = 0; h < heads; ++h) {
    const QuantMatrix w_uv =
        b.is_split() ? b.v.slice_rows(h * v, v) : b.stacked.slice_rows(h * (nope + v) + nope, v);
    expand.push_back({&s.latents, head_rows.data() + h, 1, w_uv, s.heads_out.data() + h * v, v});
  }
  kernels::quant_gemm(expand, context.precision, context.pool);
}

}  // namespace

void mla_attention(const LayerContext& context, const model::StoredMla& w, ConstMatrix x, Matrix cache,
                   MlaScratch& s, Matrix y) {
  const auto& c = context.config;
  project(context, w, x, cache, s);
  const int64_t out_cols = c.num_attention_heads * c.v_head_dim;
  s.heads_out.resize(x.rows * out_cols);
  if (x.rows == 1)
    attend_absorbed(context, w, cache, s);
  else
    attend_expanded(context, w, cache, x.rows, s);
  context.prepare(s.outputs, s.heads_out.view(x.rows, out_cols), {&w.o_proj});
  context.multiply({product(s.outputs, w.o_proj, y, /*accumulate=*/true)});
}

}  // namespace hadal::engine
