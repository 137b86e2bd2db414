#include "engine/session.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/rowwise.h"
#include "model/layers/block.h"
#include "ops/attention.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace hadal::engine {

namespace {

using kernels::Gemm;
using tensor::Buffer;
using tensor::ConstMatrix;
using tensor::Matrix;

// Prompt tokens in one pass: bounds the activations; longer prompts go chunk by chunk.
constexpr int64_t kPrefillChunk = 1024;

}  // namespace

std::shared_ptr<const LoadedModel> LoadedModel::load(const std::string& model_directory) {
  return std::shared_ptr<const LoadedModel>(new LoadedModel(model::WeightStore::load(model_directory)));
}

int64_t LoadedModel::active_parameter_count() const {
  return config().active_matmul_parameters() + config().hidden_size;
}

struct Session::Impl {
  Impl(std::shared_ptr<const LoadedModel> loaded, int64_t context, base::ThreadPool& threads)
      : model(std::move(loaded)),
        config(model->config()),
        constants(config),
        context_tokens(context),
        pool(threads) {
    caches.resize(static_cast<size_t>(config.num_hidden_layers));
    for (auto& cache : caches) cache.resize(context * cache_cols());
  }

  std::shared_ptr<const LoadedModel> model;
  const model::ModelConfig& config;
  model::AttentionConstants constants;
  int64_t context_tokens;
  base::ThreadPool& pool;
  int64_t position = 0;
  std::vector<Buffer> caches;  // one a layer: [context, kv_lora_rank + qk_rope_head_dim]

  // Scratch, kept between calls.
  Buffer stream, normed, hidden, logits;  // [M, hidden] x 3, [vocab]
  model::BlockActivations activations;
  Buffer kv, heads_out;                     // expanded form: [keys, heads * (nope + v)], [M, heads * v]
  Buffer q_latent, scores, context_latent;  // absorbed form: see attend_absorbed

  int64_t cache_cols() const { return config.kv_lora_rank + config.qk_rope_head_dim; }
  Matrix cache(size_t layer, int64_t tokens) { return caches[layer].view(tokens, cache_cols()); }

  ConstMatrix forward(std::span<const int32_t> tokens);
  void attend(size_t layer, ConstMatrix x, Matrix y);
  void attend_expanded(const model::AttentionWeights& w, ConstMatrix cached, int64_t queries);
  void attend_absorbed(const model::AttentionWeights& w, ConstMatrix cached);
  void mtp(std::span<const int32_t> tokens, ConstMatrix h, Matrix out);
};

// K and V of every cached token from its latent, then ordinary attention.
void Session::Impl::attend_expanded(const model::AttentionWeights& w, ConstMatrix cached, int64_t queries) {
  const auto& c = config;
  const int64_t kv_cols = c.num_attention_heads * (c.qk_nope_head_dim + c.v_head_dim);
  kv.resize(cached.rows * kv_cols);
  ops::linear(cached.slice_cols(0, c.kv_lora_rank), w.kv_b_proj.matrix(), kv.view(cached.rows, kv_cols),
              pool);
  ops::AttentionShape shape;
  shape.sequences = 1;
  shape.queries = queries;
  shape.keys = cached.rows;
  shape.heads = c.num_attention_heads;
  shape.nope = c.qk_nope_head_dim;
  shape.rope = c.qk_rope_head_dim;
  shape.v = c.v_head_dim;
  shape.scale = constants.softmax_scale;
  ops::attention(shape, activations.mla.q.view(queries, c.num_attention_heads * c.qk_head_dim()),
                 kv.view(cached.rows, kv_cols), cached.slice_cols(c.kv_lora_rank, c.qk_rope_head_dim),
                 heads_out.view(queries, c.num_attention_heads * c.v_head_dim), nullptr, pool);
}

// One query in the latent space (DeepSeek-V2 appendix C): W_UK goes into the query, W_UV behind the sum, and
// the cache is read as it is.
void Session::Impl::attend_absorbed(const model::AttentionWeights& w, ConstMatrix cached) {
  const auto& c = config;
  const int64_t heads = c.num_attention_heads, latent = c.kv_lora_rank, keys = cached.rows;
  const int64_t head_rows = c.qk_nope_head_dim + c.v_head_dim;
  q_latent.resize(heads * cache_cols());  // [heads, kv_lora_rank + qk_rope_head_dim]
  scores.resize(heads * keys);            // [heads, keys]
  context_latent.resize(heads * latent);  // [heads, kv_lora_rank]
  const float* q = activations.mla.q.data();
  std::vector<Gemm> absorb, expand;
  for (int64_t h = 0; h < heads; ++h) {
    const float* w_uk = w.kv_b_proj.value + h * head_rows * latent;  // [nope, latent]
    const float* w_uv = w_uk + c.qk_nope_head_dim * latent;          // [v, latent]
    const float* q_head = q + h * c.qk_head_dim();
    float* to = q_latent.data() + h * cache_cols();
    absorb.push_back(kernels::gemm_nn(q_head, c.qk_head_dim(), w_uk, latent, to, cache_cols(), 1, latent,
                                      c.qk_nope_head_dim));
    std::copy_n(q_head + c.qk_nope_head_dim, c.qk_rope_head_dim, to + latent);
    expand.push_back(kernels::gemm_nt(context_latent.data() + h * latent, latent, w_uv, latent,
                                      heads_out.data() + h * c.v_head_dim, c.v_head_dim, 1, c.v_head_dim,
                                      latent));
  }
  kernels::gemm(absorb, pool);
  kernels::gemm(kernels::gemm_nt(q_latent.data(), cache_cols(), cached.data, cached.stride, scores.data(),
                                 keys, heads, keys, cache_cols()),
                pool);
  for (int64_t h = 0; h < heads; ++h) {
    kernels::scale(constants.softmax_scale, scores.data() + h * keys, keys);
    kernels::softmax(scores.data() + h * keys, keys);
  }
  kernels::gemm(kernels::gemm_nn(scores.data(), keys, cached.data, cached.stride, context_latent.data(),
                                 latent, heads, latent, keys),
                pool);
  kernels::gemm(expand, pool);
}

// y += attention(x); appends x's latents to the layer's cache.
void Session::Impl::attend(size_t layer, ConstMatrix x, Matrix y) {
  const auto& c = config;
  const auto& w = model->weights().layers[layer].self_attn;
  auto& a = activations.mla;
  model::mla_project(c, w, constants, x, position, x.rows, a, pool);
  const auto cached = cache(layer, position + x.rows);
  const int64_t latent = c.kv_lora_rank;
  for (int64_t r = 0; r < x.rows; ++r) {
    float* row = cached.row(position + r);
    std::copy_n(a.kv_a_normed.data() + r * latent, latent, row);
    std::copy_n(a.kv_a.data() + r * cache_cols() + latent, c.qk_rope_head_dim, row + latent);
  }
  const int64_t out_cols = c.num_attention_heads * c.v_head_dim;
  heads_out.resize(x.rows * out_cols);
  if (x.rows == 1)
    attend_absorbed(w, cached);
  else
    attend_expanded(w, cached, x.rows);
  ops::linear(heads_out.view(x.rows, out_cols), w.o_proj.matrix(), y, pool, /*accumulate=*/true);
}

// Returns [tokens, hidden] after model.norm.
ConstMatrix Session::Impl::forward(std::span<const int32_t> tokens) {
  const auto& c = config;
  const auto& w = model->weights();
  const auto rows = static_cast<int64_t>(tokens.size());
  for (auto* buffer : {&stream, &normed, &hidden}) buffer->resize(rows * c.hidden_size);
  constants.rope.extend(position + rows);
  const auto x = stream.view(rows, c.hidden_size);
  const auto n = normed.view(rows, c.hidden_size);
  ops::embedding(w.embed_tokens.matrix(), tokens, x, pool);
  for (size_t layer = 0; layer < w.layers.size(); ++layer) {
    const auto& block = w.layers[layer];
    ops::rms_norm(x, block.input_layernorm.value, c.rms_norm_eps, n, nullptr, pool);
    attend(layer, n, x);
    ops::rms_norm(x, block.post_attention_layernorm.value, c.rms_norm_eps, n, nullptr, pool);
    model::feed_forward(c, block, n, activations, x, pool);
  }
  ops::rms_norm(x, w.norm.value, c.rms_norm_eps, hidden.view(rows, c.hidden_size), nullptr, pool);
  position += rows;
  return hidden.view(rows, c.hidden_size);
}

// Logits of the MTP module for a whole sequence: h and tokens from position 0; out [tokens - 1, vocab].
void Session::Impl::mtp(std::span<const int32_t> tokens, ConstMatrix h, Matrix out) {
  const auto& c = config;
  const auto& w = *model->weights().mtp;
  const int64_t rows = h.rows - 1, cols = c.hidden_size;
  Buffer embedding(rows * cols), in(rows * 2 * cols), x(rows * cols), y(rows * cols);  // in: [enorm; hnorm]
  model::BlockActivations block;
  const auto in_view = in.view(rows, 2 * cols);
  ops::embedding(model->weights().embed_tokens.matrix(), tokens.subspan(1), embedding.view(rows, cols), pool);
  ops::rms_norm(embedding.view(rows, cols), w.enorm.value, c.rms_norm_eps, in_view.slice_cols(0, cols),
                nullptr, pool);
  ops::rms_norm(h.slice_rows(0, rows), w.hnorm.value, c.rms_norm_eps, in_view.slice_cols(cols, cols), nullptr,
                pool);
  ops::linear(in_view, w.eh_proj.matrix(), x.view(rows, cols), pool);
  model::block_forward(c, w.block, constants, x.view(rows, cols), rows, {}, block, y.view(rows, cols), pool);
  ops::rms_norm(y.view(rows, cols), w.shared_head_norm.value, c.rms_norm_eps, x.view(rows, cols), nullptr,
                pool);
  ops::linear(x.view(rows, cols), model->weights().lm_head.matrix(), out, pool);
}

Session::Session(std::shared_ptr<const LoadedModel> model, int64_t context_tokens, base::ThreadPool& pool)
    : impl_(std::make_unique<Impl>(std::move(model), context_tokens, pool)) {}
Session::~Session() = default;

int64_t Session::position() const { return impl_->position; }
int64_t Session::context_tokens() const { return impl_->context_tokens; }

std::span<const float> Session::append(std::span<const int32_t> tokens) {
  auto& s = *impl_;
  HADAL_CHECK(!tokens.empty() && s.position + static_cast<int64_t>(tokens.size()) <= s.context_tokens);
  ConstMatrix hidden;
  while (!tokens.empty()) {
    const size_t part = std::min(tokens.size(), static_cast<size_t>(kPrefillChunk));
    hidden = s.forward(tokens.first(part));
    tokens = tokens.subspan(part);
  }
  s.logits.resize(s.config.vocab_size);
  ops::linear(hidden.slice_rows(hidden.rows - 1, 1), s.model->weights().lm_head.matrix(),
              s.logits.view(1, s.config.vocab_size), s.pool);
  return {s.logits.data(), static_cast<size_t>(s.config.vocab_size)};
}

void Session::append_all(std::span<const int32_t> tokens, Matrix logits, Matrix mtp_logits) {
  auto& s = *impl_;
  HADAL_CHECK(!tokens.empty() && s.position + static_cast<int64_t>(tokens.size()) <= s.context_tokens);
  HADAL_CHECK(logits.rows == static_cast<int64_t>(tokens.size()));
  const bool with_mtp = mtp_logits.rows > 0;
  HADAL_CHECK(!with_mtp || (s.position == 0 && s.model->weights().mtp && mtp_logits.rows == logits.rows - 1));
  const ConstMatrix hidden = s.forward(tokens);
  ops::linear(hidden, s.model->weights().lm_head.matrix(), logits, s.pool);
  if (with_mtp) s.mtp(tokens, hidden, mtp_logits);
}

}  // namespace hadal::engine
