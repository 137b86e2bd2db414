#include "model/layers/mla.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "model/layers/projection.h"
#include "ops/attention.h"
#include "ops/rms_norm.h"

namespace hadal::model {

namespace {

ops::YarnParameters yarn_parameters(const ModelConfig& c) {
  ops::YarnParameters yarn;
  if (!c.rope_scaling) return yarn;
  const YarnScaling& s = *c.rope_scaling;
  yarn.factor = s.factor;
  yarn.original_positions = static_cast<double>(s.original_max_position_embeddings);
  yarn.beta_fast = s.beta_fast;
  yarn.beta_slow = s.beta_slow;
  yarn.magnitude = ops::yarn_mscale(s.factor, s.mscale) / ops::yarn_mscale(s.factor, s.mscale_all_dim);
  if (s.attention_factor > 0) yarn.magnitude = s.attention_factor;
  return yarn;
}

// The rotary parts of q (one per head) and of the latent, turned by fn(values, position).
template <typename Fn>
void turn(const ModelConfig& c, tensor::Matrix q, tensor::Matrix k_pe, int64_t first, int64_t length,
          base::ThreadPool& pool, Fn&& fn) {
  base::parallel_for(pool, q.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const int64_t position = first + r % length;
      for (int64_t h = 0; h < c.num_attention_heads; ++h) {
        fn(q.row(r) + h * c.qk_head_dim() + c.qk_nope_head_dim, position);
      }
      fn(k_pe.row(r), position);
    }
  });
}

ops::AttentionShape training_shape(const ModelConfig& c, const AttentionConstants& constants, int64_t rows,
                                   int64_t length, std::span<const int32_t> document_start) {
  ops::AttentionShape s = attention_shape(c, constants, rows / length, length, length);
  s.document_start = document_start;
  return s;
}

ops::RopeOptions rope_options(const ModelConfig& c) {
  ops::RopeOptions options;
  options.interleaved = c.rope_interleave;
  options.yarn = yarn_parameters(c);
  if (c.llama3_scaling) {
    const Llama3Scaling& s = *c.llama3_scaling;
    options.llama3 = {s.factor, s.low_freq_factor, s.high_freq_factor,
                      static_cast<double>(s.original_max_position_embeddings)};
  }
  return options;
}

}  // namespace

AttentionConstants::AttentionConstants(const ModelConfig& config)
    : rope(config.is_mla() ? config.qk_rope_head_dim : config.head_dim, config.rope_theta,
           rope_options(config)) {
  double scale = 1 / std::sqrt(static_cast<double>(config.qk_head_dim()));
  if (config.rope_scaling && config.rope_scaling->mscale_all_dim != 0) {
    const double mscale = ops::yarn_mscale(config.rope_scaling->factor, config.rope_scaling->mscale_all_dim);
    scale *= mscale * mscale;
  }
  softmax_scale = static_cast<float>(scale);
}

ops::AttentionShape attention_shape(const ModelConfig& c, const AttentionConstants& constants,
                                    int64_t sequences, int64_t queries, int64_t keys) {
  ops::AttentionShape s;
  s.sequences = sequences;
  s.queries = queries;
  s.keys = keys;
  s.heads = c.num_attention_heads;
  s.kv_heads = c.num_key_value_heads;
  s.nope = c.is_mla() ? c.qk_nope_head_dim : c.head_dim;
  s.rope = c.qk_rope_head_dim;
  s.v = c.value_head_dim();
  s.scale = constants.softmax_scale;
  return s;
}

void mla_project(const ModelConfig& c, const AttentionWeights& w, const AttentionConstants& constants,
                 tensor::ConstMatrix x, int64_t first_position, int64_t length, MlaActivations& a,
                 base::ThreadPool& pool) {
  const int64_t rows = x.rows, latent = c.kv_lora_rank, q_cols = c.num_attention_heads * c.qk_head_dim();
  a.q.resize(rows * q_cols);
  a.kv_a.resize(rows * (latent + c.qk_rope_head_dim));
  a.kv_a_normed.resize(rows * latent);
  a.kv_a_inv_rms.resize(rows);
  const auto q = a.q.view(rows, q_cols);
  if (c.q_lora_rank > 0) {
    a.q_a.resize(rows * c.q_lora_rank);
    a.q_a_normed.resize(rows * c.q_lora_rank);
    a.q_a_inv_rms.resize(rows);
    const auto q_a = a.q_a.view(rows, c.q_lora_rank);
    const auto q_a_normed = a.q_a_normed.view(rows, c.q_lora_rank);
    project(w.q_a_proj, x, q_a, pool);
    ops::rms_norm(q_a, w.q_a_layernorm.value, c.rms_norm_eps, q_a_normed, a.q_a_inv_rms.data(), pool);
    project(w.q_b_proj, q_a_normed, q, pool);
  } else {
    project(w.q_proj, x, q, pool);
  }
  const auto kv_a = a.kv_a.view(rows, latent + c.qk_rope_head_dim);
  project(w.kv_a_proj_with_mqa, x, kv_a, pool);
  ops::rms_norm(kv_a.slice_cols(0, latent), w.kv_a_layernorm.value, c.rms_norm_eps,
                a.kv_a_normed.view(rows, latent), a.kv_a_inv_rms.data(), pool);
  turn(c, q, kv_a.slice_cols(latent, c.qk_rope_head_dim), first_position, length, pool,
       [&](float* values, int64_t position) { constants.rope.rotate(values, position); });
}

void mla_forward(const ModelConfig& c, const AttentionWeights& w, const AttentionConstants& constants,
                 tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                 MlaActivations& a, tensor::Matrix y, base::ThreadPool& pool) {
  const int64_t rows = x.rows, latent = c.kv_lora_rank;
  HADAL_CHECK(rows % length == 0 && constants.rope.positions() >= length);
  mla_project(c, w, constants, x, 0, length, a, pool);
  const int64_t kv_cols = c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim);
  const int64_t out_cols = c.num_attention_heads * c.v_head_dim;
  a.kv.resize(rows * kv_cols);
  a.heads_out.resize(rows * out_cols);
  a.lse.resize(rows * c.num_attention_heads);
  project(w.kv_b_proj, a.kv_a_normed.view(rows, latent), a.kv.view(rows, kv_cols), pool);
  ops::attention(training_shape(c, constants, rows, length, document_start),
                 a.q.view(rows, c.num_attention_heads * c.qk_head_dim()), a.kv.view(rows, kv_cols),
                 a.kv_a.view(rows, latent + c.qk_rope_head_dim).slice_cols(latent, c.qk_rope_head_dim),
                 a.heads_out.view(rows, out_cols), a.lse.data(), pool);
  project(w.o_proj, a.heads_out.view(rows, out_cols), y, pool, /*accumulate=*/true);
}

void mla_backward(const ModelConfig& c, const AttentionWeights& w, const AttentionConstants& constants,
                  tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                  MlaActivations& a, tensor::ConstMatrix dy, tensor::Matrix dx, base::ThreadPool& pool) {
  const int64_t rows = x.rows, latent = c.kv_lora_rank;
  const int64_t q_cols = c.num_attention_heads * c.qk_head_dim();
  const int64_t kv_cols = c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim);
  const int64_t out_cols = c.num_attention_heads * c.v_head_dim;
  const int64_t kv_a_cols = latent + c.qk_rope_head_dim;
  const auto q = a.q.view(rows, q_cols);
  const auto kv_a = a.kv_a.view(rows, kv_a_cols);
  const auto kv_a_normed = a.kv_a_normed.view(rows, latent);
  const auto heads_out = a.heads_out.view(rows, out_cols);

  tensor::Buffer dheads_buffer(rows * out_cols), dq_buffer(rows * q_cols), dkv_buffer(rows * kv_cols);
  tensor::Buffer dkv_a_buffer(rows * kv_a_cols);
  const auto dheads = dheads_buffer.view(rows, out_cols);  // [M, heads * v_head_dim]
  const auto dq = dq_buffer.view(rows, q_cols);            // [M, heads * qk_head_dim]
  const auto dkv = dkv_buffer.view(rows, kv_cols);         // [M, heads * (nope + v)]
  const auto dkv_a = dkv_a_buffer.view(rows, kv_a_cols);   // [M, kv_lora_rank + rope]
  dkv_a_buffer.zero();
  const auto dk_pe = dkv_a.slice_cols(latent, c.qk_rope_head_dim);

  project_backward(w.o_proj, heads_out, dy, dheads, pool);
  ops::attention_backward(training_shape(c, constants, rows, length, document_start), q,
                          a.kv.view(rows, kv_cols), kv_a.slice_cols(latent, c.qk_rope_head_dim), heads_out,
                          a.lse.data(), dheads, dq, dkv, dk_pe, pool);
  turn(c, dq, dk_pe, 0, length, pool,
       [&](float* values, int64_t position) { constants.rope.rotate_inverse(values, position); });

  project_backward(w.kv_b_proj, kv_a_normed, dkv, kv_a_normed, pool);  // becomes its own gradient
  ops::rms_norm_backward(kv_a.slice_cols(0, latent), w.kv_a_layernorm.value, a.kv_a_inv_rms.data(),
                         kv_a_normed, dkv_a.slice_cols(0, latent), w.kv_a_layernorm.grad, pool);
  project_backward(w.kv_a_proj_with_mqa, x, dkv_a, dx, pool, /*accumulate=*/true);

  if (c.q_lora_rank == 0) {
    project_backward(w.q_proj, x, dq, dx, pool, /*accumulate=*/true);
    return;
  }
  const auto q_a_normed = a.q_a_normed.view(rows, c.q_lora_rank);
  tensor::Buffer dq_a_buffer(rows * c.q_lora_rank);
  dq_a_buffer.zero();
  const auto dq_a = dq_a_buffer.view(rows, c.q_lora_rank);         // [M, q_lora_rank]
  project_backward(w.q_b_proj, q_a_normed, dq, q_a_normed, pool);  // becomes its own gradient
  ops::rms_norm_backward(a.q_a.view(rows, c.q_lora_rank), w.q_a_layernorm.value, a.q_a_inv_rms.data(),
                         q_a_normed, dq_a, w.q_a_layernorm.grad, pool);
  project_backward(w.q_a_proj, x, dq_a, dx, pool, /*accumulate=*/true);
}

}  // namespace hadal::model
