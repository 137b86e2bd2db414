#include "model/layers/gqa.h"

#include <algorithm>

#include "model/layers/projection.h"
#include "ops/attention.h"
#include "ops/bias.h"
#include "ops/rms_norm.h"

namespace hadal::model {

namespace {

using tensor::Buffer;
using tensor::ConstMatrix;
using tensor::Matrix;

ops::AttentionShape shape_of(const ModelConfig& c, const AttentionConstants& constants, int64_t rows,
                             int64_t length, std::span<const int32_t> document_start) {
  ops::AttentionShape s;
  s.sequences = rows / length;
  s.queries = s.keys = length;
  s.heads = c.num_attention_heads;
  s.kv_heads = c.num_key_value_heads;
  s.nope = s.v = c.head_dim;  // keys come rotated: none of a key is shared between the heads
  s.scale = constants.softmax_scale;
  s.document_start = document_start;
  return s;
}

// x W^T + bias
void project_with_bias(const Weight& w, const Weight& bias, ConstMatrix x, Matrix y, base::ThreadPool& pool) {
  project(w, x, y, pool);
  if (!bias.empty()) ops::add_bias(bias.value, y, pool);
}

void project_with_bias_backward(const Weight& w, const Weight& bias, ConstMatrix x, ConstMatrix dy, Matrix dx,
                                base::ThreadPool& pool) {
  if (bias.grad != nullptr) ops::bias_backward(dy, bias.grad, pool);
  project_backward(w, x, dy, dx, pool, /*accumulate=*/true);
}

// fn(head's values, position) for every head of every row.
template <typename Fn>
void for_heads(const ModelConfig& c, Matrix rows, int64_t length, base::ThreadPool& pool, Fn&& fn) {
  base::parallel_for(pool, rows.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      for (int64_t column = 0; column < rows.cols; column += c.head_dim) {
        fn(rows.row(r) + column, r % length);
      }
    }
  });
}

// The K's and V's of each head side by side in kv, or back from there.
void interleave(const ModelConfig& c, ConstMatrix k, ConstMatrix v, Matrix kv, base::ThreadPool& pool) {
  base::parallel_for(pool, kv.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      float* out = kv.row(r);
      for (int64_t column = 0; column < k.cols; column += c.head_dim) {
        out = std::copy_n(k.row(r) + column, c.head_dim, out);
        out = std::copy_n(v.row(r) + column, c.head_dim, out);
      }
    }
  });
}

void separate(const ModelConfig& c, ConstMatrix kv, Matrix k, Matrix v, base::ThreadPool& pool) {
  base::parallel_for(pool, kv.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const float* from = kv.row(r);
      for (int64_t column = 0; column < k.cols; column += c.head_dim, from += 2 * c.head_dim) {
        std::copy_n(from, c.head_dim, k.row(r) + column);
        std::copy_n(from + c.head_dim, c.head_dim, v.row(r) + column);
      }
    }
  });
}

// A row a head.
Matrix by_head(const ModelConfig& c, Matrix x) {
  return {x.data, x.rows * (x.cols / c.head_dim), c.head_dim, c.head_dim};
}

// d becomes the gradient of the norm's input; `raw` was that input.
void head_norm_backward(const ModelConfig& c, const Weight& norm, Matrix raw, const Buffer& inv_rms, Matrix d,
                        base::ThreadPool& pool) {
  Buffer d_raw_buffer(d.rows * d.cols);
  d_raw_buffer.zero();
  const auto d_raw = d_raw_buffer.view(d.rows, d.cols);
  ops::rms_norm_backward(by_head(c, raw), norm.value, inv_rms.data(), by_head(c, d), by_head(c, d_raw),
                         norm.grad, pool);
  std::copy_n(d_raw.data, d.rows * d.cols, d.data);
}

}  // namespace

void gqa_forward(const ModelConfig& c, const AttentionWeights& w, const AttentionConstants& constants,
                 ConstMatrix x, int64_t length, std::span<const int32_t> document_start, GqaActivations& a,
                 Matrix y, base::ThreadPool& pool) {
  const int64_t rows = x.rows;
  const int64_t q_cols = c.num_attention_heads * c.head_dim, k_cols = c.num_key_value_heads * c.head_dim;
  a.q.resize(rows * q_cols);
  a.kv.resize(rows * 2 * k_cols);
  a.heads_out.resize(rows * q_cols);
  a.lse.resize(rows * c.num_attention_heads);
  Buffer k_buffer(rows * k_cols), v_buffer(rows * k_cols);
  const auto q = a.q.view(rows, q_cols), kv = a.kv.view(rows, 2 * k_cols);
  const auto k = k_buffer.view(rows, k_cols), v = v_buffer.view(rows, k_cols);  // [M, kv_heads * head_dim]
  if (c.qk_norm) {
    a.q_raw.resize(rows * q_cols);
    a.k_raw.resize(rows * k_cols);
    a.q_inv_rms.resize(rows * c.num_attention_heads);
    a.k_inv_rms.resize(rows * c.num_key_value_heads);
    const auto q_raw = a.q_raw.view(rows, q_cols), k_raw = a.k_raw.view(rows, k_cols);
    project_with_bias(w.q_proj, w.q_bias, x, q_raw, pool);
    project_with_bias(w.k_proj, w.k_bias, x, k_raw, pool);
    ops::rms_norm(by_head(c, q_raw), w.q_norm.value, c.rms_norm_eps, by_head(c, q), a.q_inv_rms.data(), pool);
    ops::rms_norm(by_head(c, k_raw), w.k_norm.value, c.rms_norm_eps, by_head(c, k), a.k_inv_rms.data(), pool);
  } else {
    project_with_bias(w.q_proj, w.q_bias, x, q, pool);
    project_with_bias(w.k_proj, w.k_bias, x, k, pool);
  }
  project_with_bias(w.v_proj, w.v_bias, x, v, pool);
  const auto rotate = [&](float* head, int64_t position) { constants.rope.rotate(head, position); };
  for_heads(c, q, length, pool, rotate);
  for_heads(c, k, length, pool, rotate);
  interleave(c, k, v, kv, pool);
  ops::attention(shape_of(c, constants, rows, length, document_start), q, kv, {},
                 a.heads_out.view(rows, q_cols), a.lse.data(), pool);
  project(w.o_proj, a.heads_out.view(rows, q_cols), y, pool, /*accumulate=*/true);
  if (!w.o_bias.empty()) ops::add_bias(w.o_bias.value, y, pool);
}

void gqa_backward(const ModelConfig& c, const AttentionWeights& w, const AttentionConstants& constants,
                  ConstMatrix x, int64_t length, std::span<const int32_t> document_start, GqaActivations& a,
                  ConstMatrix dy, Matrix dx, base::ThreadPool& pool) {
  const int64_t rows = x.rows;
  const int64_t q_cols = c.num_attention_heads * c.head_dim, k_cols = c.num_key_value_heads * c.head_dim;
  const auto heads_out = a.heads_out.view(rows, q_cols);
  Buffer dheads_buffer(rows * q_cols), dq_buffer(rows * q_cols), dkv_buffer(rows * 2 * k_cols);
  Buffer dk_buffer(rows * k_cols), dv_buffer(rows * k_cols);
  const auto dheads = dheads_buffer.view(rows, q_cols);  // [M, heads * head_dim]
  const auto dq = dq_buffer.view(rows, q_cols);          // the same
  const auto dkv = dkv_buffer.view(rows, 2 * k_cols);    // as a.kv
  const auto dk = dk_buffer.view(rows, k_cols),
             dv = dv_buffer.view(rows, k_cols);  // [M, kv_heads * head_dim]

  if (w.o_bias.grad != nullptr) ops::bias_backward(dy, w.o_bias.grad, pool);
  project_backward(w.o_proj, heads_out, dy, dheads, pool);
  ops::attention_backward(shape_of(c, constants, rows, length, document_start), a.q.view(rows, q_cols),
                          a.kv.view(rows, 2 * k_cols), {}, heads_out, a.lse.data(), dheads, dq, dkv, {},
                          pool);
  separate(c, dkv, dk, dv, pool);
  const auto turn_back = [&](float* head, int64_t position) {
    constants.rope.rotate_inverse(head, position);
  };
  for_heads(c, dq, length, pool, turn_back);
  for_heads(c, dk, length, pool, turn_back);
  if (c.qk_norm) {
    head_norm_backward(c, w.q_norm, a.q_raw.view(rows, q_cols), a.q_inv_rms, dq, pool);
    head_norm_backward(c, w.k_norm, a.k_raw.view(rows, k_cols), a.k_inv_rms, dk, pool);
  }
  project_with_bias_backward(w.q_proj, w.q_bias, x, dq, dx, pool);
  project_with_bias_backward(w.k_proj, w.k_bias, x, dk, dx, pool);
  project_with_bias_backward(w.v_proj, w.v_bias, x, dv, dx, pool);
}

}  // namespace hadal::model
