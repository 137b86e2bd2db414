#include "engine/session.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "engine/layers/feed_forward.h"
#include "engine/layers/gqa_attention.h"
#include "engine/layers/mla_attention.h"
#include "ops/rms_norm.h"

namespace hadal::engine {

namespace {

// Prompt tokens in one pass: bounds the activations; longer prompts go chunk by chunk.
constexpr int64_t kPrefillChunk = 1024;

}  // namespace

struct Session::Impl {
  Impl(std::shared_ptr<const LoadedModel> loaded, int64_t tokens, Precision precision,
       base::ThreadPool& threads)
      : model(std::move(loaded)),
        config(model->config()),
        constants(config),
        context_tokens(tokens),
        pool(threads),
        layer{config, constants, precision, pool} {
    caches.resize(static_cast<size_t>(config.num_hidden_layers));
    for (auto& cache : caches) cache.resize(context_tokens * config.cache_dim());
  }

  std::shared_ptr<const LoadedModel> model;
  const model::ModelConfig& config;
  model::AttentionConstants constants;
  int64_t context_tokens;
  base::ThreadPool& pool;
  LayerContext layer;
  int64_t position = 0;
  std::vector<Buffer> caches;  // one a layer: [context, cache_dim]

  // Scratch, kept between calls.
  Buffer stream, normed, hidden, logits;  // [M, hidden] x 3, [vocab]
  MlaScratch mla;
  GqaScratch gqa;
  FeedForwardScratch mlp;
  Activations head_inputs;

  void embed(std::span<const int32_t> tokens, Matrix out);
  void block(const model::StoredBlock& w, Matrix cache, Matrix x);
  ConstMatrix forward(std::span<const int32_t> tokens);
  void head(ConstMatrix hidden_rows, Matrix out);
  void mtp(std::span<const int32_t> tokens, ConstMatrix h, Matrix out);
};

// out[i] = embed_tokens[tokens[i]]
void Session::Impl::embed(std::span<const int32_t> tokens, Matrix out) {
  const QuantMatrix& table = model->weights().embed_tokens;
  base::parallel_for(pool, out.rows, 16, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      quant::row_to_float(table, tokens[static_cast<size_t>(i)], 0, table.cols, out.row(i));
    }
  });
}

// x [M, hidden] through one layer, in place; cache: [tokens so far with these M, cache_dim].
void Session::Impl::block(const model::StoredBlock& w, Matrix cache, Matrix x) {
  const auto n = normed.view(x.rows, x.cols);
  ops::rms_norm(x, w.input_layernorm.data, config.rms_norm_eps, n, nullptr, pool);
  if (config.is_mla())
    mla_attention(layer, w.mla, n, cache, mla, x);
  else
    gqa_attention(layer, w.gqa, n, cache, gqa, x);
  ops::rms_norm(x, w.post_attention_layernorm.data, config.rms_norm_eps, n, nullptr, pool);
  feed_forward(layer, w, n, mlp, x);
}

// Returns [tokens, hidden] after model.norm.
ConstMatrix Session::Impl::forward(std::span<const int32_t> tokens) {
  const auto& w = model->weights();
  const auto rows = static_cast<int64_t>(tokens.size());
  for (auto* buffer : {&stream, &normed, &hidden}) buffer->resize(rows * config.hidden_size);
  constants.rope.extend(position + rows);
  const auto x = stream.view(rows, config.hidden_size);
  embed(tokens, x);
  for (size_t i = 0; i < w.layers.size(); ++i) {
    block(w.layers[i], caches[i].view(position + rows, config.cache_dim()), x);
  }
  ops::rms_norm(x, w.norm.data, config.rms_norm_eps, hidden.view(rows, config.hidden_size), nullptr, pool);
  position += rows;
  return hidden.view(rows, config.hidden_size);
}

// out[M, vocab] = hidden_rows[M, hidden] lm_head^T
void Session::Impl::head(ConstMatrix hidden_rows, Matrix out) {
  const QuantMatrix& w = model->weights().lm_head;
  layer.prepare(head_inputs, hidden_rows, {&w});
  layer.multiply({product(head_inputs, w, out)});
}

// Logits of the MTP module for a whole sequence: h and tokens from position 0; out [tokens - 1, vocab].
void Session::Impl::mtp(std::span<const int32_t> tokens, ConstMatrix h, Matrix out) {
  const auto& w = *model->weights().mtp;
  const int64_t rows = h.rows - 1, cols = config.hidden_size;
  Buffer embedding(rows * cols), in(rows * 2 * cols), x_buffer(rows * cols);  // in: [enorm; hnorm]
  Buffer cache(rows * config.cache_dim());
  const auto in_view = in.view(rows, 2 * cols);
  const auto x = x_buffer.view(rows, cols), embedded = embedding.view(rows, cols);
  embed(tokens.subspan(1), embedded);
  ops::rms_norm(embedded, w.enorm.data, config.rms_norm_eps, in_view.slice_cols(0, cols), nullptr, pool);
  ops::rms_norm(h.slice_rows(0, rows), w.hnorm.data, config.rms_norm_eps, in_view.slice_cols(cols, cols),
                nullptr, pool);
  layer.prepare(head_inputs, in_view, {&w.eh_proj});
  layer.multiply({product(head_inputs, w.eh_proj, x)});
  block(w.block, cache.view(rows, config.cache_dim()), x);
  ops::rms_norm(x, w.shared_head_norm.data, config.rms_norm_eps, embedded, nullptr, pool);
  head(embedded, out);
}

Session::Session(std::shared_ptr<const LoadedModel> model, int64_t context_tokens, Precision precision,
                 base::ThreadPool& pool)
    : impl_(std::make_unique<Impl>(std::move(model), context_tokens, precision, pool)) {}
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
  s.head(hidden.slice_rows(hidden.rows - 1, 1), s.logits.view(1, s.config.vocab_size));
  return {s.logits.data(), static_cast<size_t>(s.config.vocab_size)};
}

void Session::append_all(std::span<const int32_t> tokens, Matrix logits, Matrix mtp_logits) {
  auto& s = *impl_;
  HADAL_CHECK(!tokens.empty() && s.position + static_cast<int64_t>(tokens.size()) <= s.context_tokens);
  HADAL_CHECK(logits.rows == static_cast<int64_t>(tokens.size()));
  const bool with_mtp = mtp_logits.rows > 0;
  HADAL_CHECK(!with_mtp || (s.position == 0 && s.model->weights().mtp && mtp_logits.rows == logits.rows - 1));
  const ConstMatrix hidden = s.forward(tokens);
  s.head(hidden, logits);
  if (with_mtp) s.mtp(tokens, hidden, mtp_logits);
}

}  // namespace hadal::engine
