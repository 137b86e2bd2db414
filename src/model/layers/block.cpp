#include "model/layers/block.h"

#include <algorithm>

#include "ops/rms_norm.h"

namespace hadal::model {

namespace {

void copy(tensor::ConstMatrix from, tensor::Matrix to, base::ThreadPool& pool) {
  base::parallel_for(pool, from.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) std::copy_n(from.row(r), from.cols, to.row(r));
  });
}

}  // namespace

void feed_forward(const ModelConfig& config, const BlockWeights& w, tensor::ConstMatrix x,
                  BlockActivations& a, tensor::Matrix y, base::ThreadPool& pool) {
  if (w.moe)
    moe_forward(config, *w.moe, x, a.moe, y, pool);
  else
    mlp_forward(w.mlp, x, a.mlp, y, pool);
}

void block_forward(const ModelConfig& config, const BlockWeights& w, const AttentionConstants& constants,
                   tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                   BlockActivations& a, tensor::Matrix y, base::ThreadPool& pool) {
  const int64_t rows = x.rows, hidden = x.cols;
  for (auto* buffer : {&a.attention_in, &a.middle, &a.mlp_in}) buffer->resize(rows * hidden);
  a.attention_inv_rms.resize(rows);
  a.mlp_inv_rms.resize(rows);
  const auto attention_in = a.attention_in.view(rows, hidden);
  const auto middle = a.middle.view(rows, hidden);
  const auto mlp_in = a.mlp_in.view(rows, hidden);
  ops::rms_norm(x, w.input_layernorm.value, config.rms_norm_eps, attention_in, a.attention_inv_rms.data(),
                pool);
  copy(x, middle, pool);
  if (config.is_mla())
    mla_forward(config, w.self_attn, constants, attention_in, length, document_start, a.mla, middle, pool);
  else
    gqa_forward(config, w.self_attn, constants, attention_in, length, document_start, a.gqa, middle, pool);
  ops::rms_norm(middle, w.post_attention_layernorm.value, config.rms_norm_eps, mlp_in, a.mlp_inv_rms.data(),
                pool);
  copy(middle, y, pool);
  feed_forward(config, w, mlp_in, a, y, pool);
}

double block_backward(const ModelConfig& config, const BlockWeights& w, const AttentionConstants& constants,
                      tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                      BlockActivations& a, tensor::Matrix d, const BalanceLoss& balance,
                      base::ThreadPool& pool) {
  const int64_t rows = x.rows, hidden = x.cols;
  tensor::Buffer buffer(rows * hidden);
  const auto d_normed = buffer.view(rows, hidden);  // [M, hidden]: gradient of a norm's output
  buffer.zero();
  double balance_loss = 0;
  const auto mlp_in = a.mlp_in.view(rows, hidden);
  if (w.moe)
    balance_loss = moe_backward(config, *w.moe, mlp_in, a.moe, d, d_normed, balance, pool);
  else
    mlp_backward(w.mlp, mlp_in, a.mlp, d, d_normed, pool);
  ops::rms_norm_backward(a.middle.view(rows, hidden), w.post_attention_layernorm.value, a.mlp_inv_rms.data(),
                         d_normed, d, w.post_attention_layernorm.grad, pool);
  buffer.zero();
  const auto attention_in = a.attention_in.view(rows, hidden);
  if (config.is_mla())
    mla_backward(config, w.self_attn, constants, attention_in, length, document_start, a.mla, d, d_normed,
                 pool);
  else
    gqa_backward(config, w.self_attn, constants, attention_in, length, document_start, a.gqa, d, d_normed,
                 pool);
  ops::rms_norm_backward(x, w.input_layernorm.value, a.attention_inv_rms.data(), d_normed, d,
                         w.input_layernorm.grad, pool);
  return balance_loss;
}

}  // namespace hadal::model
