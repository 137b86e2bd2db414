#include "model/transformer.h"

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "model/batch_targets.h"
#include "model/layers/block.h"
#include "model/layers/head.h"
#include "model/layers/projection.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/rms_norm.h"
#include "ops/token_logprobs.h"

namespace hadal::model {

struct Transformer::Impl {
  explicit Impl(WeightStore weights) : store(std::move(weights)), constants(store.config()) {}

  WeightStore store;
  AttentionConstants constants;

  // Activations of one pass, kept between steps so that a step allocates little.
  std::deque<tensor::Buffer>
      streams;  // [layers + 1] of [M, hidden]: each layer's input, then the last output
  std::deque<BlockActivations> blocks;                            // [layers + 1]: the MTP module's last
  tensor::Buffer final_normed, final_inv_rms;                     // [M, hidden], [M]
  tensor::Buffer logits;                                          // a tile [rows, vocab]
  tensor::Buffer losses;                                          // [M]
  tensor::Buffer d_stream, d_final;                               // [M, hidden]
  tensor::Buffer mtp_embedding, mtp_in, mtp_inv_rms, mtp_hidden;  // see mtp_forward
  tensor::Buffer mtp_out, mtp_normed, mtp_normed_inv_rms, mtp_d_out;

  // Of the batch that went forward last.
  Predictions predictions;
  tensor::Buffer head_in, d_head_in;  // [n, hidden], unless `all`
  TokenBatch forwarded;               // of forward(), for its backward
  bool ready = false;

  const ModelConfig& config() const { return store.config(); }

  void check(const TokenBatch& batch) const;
  void forward(const TokenBatch& batch, base::ThreadPool& pool);
  tensor::ConstMatrix predicting_rows(base::ThreadPool& pool);
  void run_head(const HeadTile& tile, bool backward, base::ThreadPool& pool);
  LossResult run(const TokenBatch& batch, const LossOptions& options, bool backward, base::ThreadPool& pool,
                 std::vector<float>* per_token);
  double main_loss(const LossOptions& options, bool backward, base::ThreadPool& pool);
  void count_loads(bool with_mtp, LossResult& result) const;
  double balance_loss(const BalanceLoss& balance, base::ThreadPool& pool, double loss) const;
  double layers_backward(const TokenBatch& batch, const BalanceLoss& balance, base::ThreadPool& pool,
                         double loss);
  LossResult finish_backward(const HeadTile& to_gradient, const LossOptions& options, base::ThreadPool& pool);
  double mtp(const TokenBatch& batch, const LossOptions& options, bool backward, double& balance_loss,
             base::ThreadPool& pool);
};

void Transformer::Impl::forward(const TokenBatch& batch, base::ThreadPool& pool) {
  const ModelConfig& c = config();
  const ModelWeights& w = store.weights();
  const int64_t rows = batch.rows * batch.length;
  const auto layers = static_cast<size_t>(c.num_hidden_layers);
  constants.rope.extend(batch.length);
  streams.resize(layers + 1);
  blocks.resize(layers + 1);
  for (auto& stream : streams) stream.resize(rows * c.hidden_size);
  const auto inputs = column_range(batch, 0);
  ops::embedding(w.embed_tokens.matrix(), inputs, streams[0].view(rows, c.hidden_size), pool);
  for (size_t i = 0; i < layers; ++i) {
    block_forward(c, w.layers[i], constants, streams[i].view(rows, c.hidden_size), batch.length,
                  batch.document_start, blocks[i], streams[i + 1].view(rows, c.hidden_size), pool);
  }
  final_normed.resize(rows * c.hidden_size);
  final_inv_rms.resize(rows);
  ops::rms_norm(streams[layers].view(rows, c.hidden_size), w.norm.value, c.rms_norm_eps,
                final_normed.view(rows, c.hidden_size), final_inv_rms.data(), pool);
}

void Transformer::Impl::check(const TokenBatch& batch) const {
  const auto positions = static_cast<size_t>(batch.rows * batch.length);
  HADAL_CHECK(static_cast<int64_t>(batch.tokens.size()) == batch.rows * (batch.length + 1));
  HADAL_CHECK(batch.targets.empty() || batch.targets.size() == positions);
  HADAL_CHECK(batch.weights.empty() || batch.weights.size() == positions);
  const auto check_token = [&](int32_t token, int32_t least) {
    if (token >= least && token < config().vocab_size) return;
    throw_error(ErrorCode::kBadInput, "[model] token {} is outside the vocabulary of {}", token,
                config().vocab_size);
  };
  for (const int32_t token : batch.tokens) check_token(token, 0);
  for (const int32_t token : batch.targets) check_token(token, -1);
}

// The rows of final_normed that predict something.
tensor::ConstMatrix Transformer::Impl::predicting_rows(base::ThreadPool& pool) {
  const int64_t hidden = config().hidden_size, n = static_cast<int64_t>(predictions.positions.size());
  if (predictions.all) return final_normed.view(n, hidden);
  head_in.resize(n * hidden);
  const auto from = final_normed.view(final_normed.size() / hidden, hidden);
  const auto to = head_in.view(n, hidden);
  base::parallel_for(pool, n, 64, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      std::copy_n(from.row(predictions.positions[static_cast<size_t>(i)]), hidden, to.row(i));
    }
  });
  return to;
}

// The head over the rows that predict something; with `backward`, `tile` makes the gradient, and d_final is
// set.
void Transformer::Impl::run_head(const HeadTile& tile, bool backward, base::ThreadPool& pool) {
  const Weight& head = store.weights().lm_head;
  const int64_t hidden = config().hidden_size;
  const tensor::ConstMatrix in = predicting_rows(pool);
  if (!backward) return head_forward(head, in, logits, tile, pool);
  d_final.resize(final_normed.size());
  if (predictions.all) return head_backward(head, in, logits, tile, d_final.view(in.rows, hidden), pool);
  d_head_in.resize(in.rows * hidden);
  const auto d_in = d_head_in.view(in.rows, hidden);
  head_backward(head, in, logits, tile, d_in, pool);
  d_final.zero();
  const auto d = d_final.view(d_final.size() / hidden, hidden);
  for (int64_t i = 0; i < in.rows; ++i) {
    std::copy_n(d_in.row(i), hidden, d.row(predictions.positions[static_cast<size_t>(i)]));
  }
}

// The cross-entropy; fills `losses` (unweighted, one for each prediction).
double Transformer::Impl::main_loss(const LossOptions& options, bool backward, base::ThreadPool& pool) {
  const Predictions& p = predictions;
  const double divisor = options.loss_weight > 0 ? options.loss_weight : std::max(p.weight, 1e-30);
  const float scale = options.gradient_scale / static_cast<float>(divisor);
  losses.resize(static_cast<int64_t>(p.targets.size()));
  const HeadTile tile = [&](int64_t first, tensor::Matrix out) {
    const auto targets =
        std::span(p.targets).subspan(static_cast<size_t>(first), static_cast<size_t>(out.rows));
    if (!backward || p.weights.empty()) {
      ops::cross_entropy(out, targets, scale, backward, losses.data() + first, pool);
      return;
    }
    const auto weights = std::span(p.weights).subspan(static_cast<size_t>(first), targets.size());
    std::vector<float> d_logprobs(targets.size());
    for (size_t i = 0; i < weights.size(); ++i) d_logprobs[i] = -scale * weights[i];
    ops::token_logprobs(out, targets, losses.data() + first, nullptr, pool);
    for (int64_t i = first; i < first + out.rows; ++i) losses.data()[i] = -losses.data()[i];
    ops::token_logprobs_backward(out, targets, d_logprobs, pool);
  };
  run_head(tile, backward, pool);
  double sum = 0;
  for (size_t i = 0; i < p.targets.size(); ++i) {
    sum += (p.weights.empty() ? 1.0 : p.weights[i]) * static_cast<double>(losses.data()[i]);
  }
  return sum / divisor;
}

// The MTP module (V3 eq. 21-25) on h = model.norm's output and the embedding of the next token; adds its
// gradient of h to d_final and of the embedding to the table.
double Transformer::Impl::mtp(const TokenBatch& batch, const LossOptions& options, bool backward,
                              double& balance_loss, base::ThreadPool& pool) {
  const ModelConfig& c = config();
  const MtpWeights& w = *store.weights().mtp;
  const Weight& table = store.weights().embed_tokens;
  const int64_t rows = batch.rows * batch.length, hidden = c.hidden_size;
  BlockActivations& block = blocks.back();
  mtp_embedding.resize(rows * hidden);  // [M, hidden]
  mtp_in.resize(rows * 2 * hidden);     // [M, 2 * hidden]: [enorm(embedding); hnorm(h)]
  mtp_inv_rms.resize(2 * rows);         // of the two norms
  mtp_hidden.resize(rows * hidden);     // the block's input
  mtp_out.resize(rows * hidden);        // its output
  mtp_normed.resize(rows * hidden);     // after shared_head.norm
  mtp_normed_inv_rms.resize(rows);
  const auto next = column_range(batch, 1);
  const auto targets = mtp_targets(batch);
  const auto embedding = mtp_embedding.view(rows, hidden);
  const auto in = mtp_in.view(rows, 2 * hidden);
  const auto h = final_normed.view(rows, hidden);
  const auto block_in = mtp_hidden.view(rows, hidden);
  const auto out = mtp_out.view(rows, hidden);
  const auto normed = mtp_normed.view(rows, hidden);
  float* enorm_inv_rms = mtp_inv_rms.data();
  float* hnorm_inv_rms = mtp_inv_rms.data() + rows;

  ops::embedding(table.matrix(), next, embedding, pool);
  ops::rms_norm(embedding, w.enorm.value, c.rms_norm_eps, in.slice_cols(0, hidden), enorm_inv_rms, pool);
  ops::rms_norm(h, w.hnorm.value, c.rms_norm_eps, in.slice_cols(hidden, hidden), hnorm_inv_rms, pool);
  project(w.eh_proj, in, block_in, pool);
  block_forward(c, w.block, constants, block_in, batch.length, batch.document_start, block, out, pool);
  ops::rms_norm(out, w.shared_head_norm.value, c.rms_norm_eps, normed, mtp_normed_inv_rms.data(), pool);
  mtp_d_out.resize(rows * hidden);
  const auto d_normed = mtp_d_out.view(rows, hidden);
  const int64_t counted = std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t >= 0; });
  const double divisor =
      options.loss_weight > 0 ? options.loss_weight : static_cast<double>(std::max<int64_t>(counted, 1));
  const float scale = options.gradient_scale * options.mtp_weight / static_cast<float>(divisor);
  losses.resize(rows);
  const HeadTile tile = [&](int64_t first, tensor::Matrix tile_logits) {
    const auto part =
        std::span(targets).subspan(static_cast<size_t>(first), static_cast<size_t>(tile_logits.rows));
    ops::cross_entropy(tile_logits, part, scale, backward, losses.data() + first, pool);
  };
  const Weight& head = store.weights().lm_head;
  if (backward)
    head_backward(head, normed, logits, tile, d_normed, pool);
  else
    head_forward(head, normed, logits, tile, pool);
  double loss = 0;
  for (int64_t i = 0; i < rows; ++i) loss += losses.data()[i];
  loss /= divisor;
  const BalanceLoss balance{options.sequence_balance_alpha, options.gradient_scale, batch.length};
  if (!backward) {
    if (w.block.moe) balance_loss += moe_balance_loss(c, *w.block.moe, block.moe, balance, pool);
    return loss;
  }
  tensor::Buffer d_buffer(rows * hidden), d_in_buffer(rows * 2 * hidden), d_embedding_buffer(rows * hidden);
  d_buffer.zero();
  d_embedding_buffer.zero();
  const auto d = d_buffer.view(rows, hidden);            // gradient of the block's output, then input
  const auto d_in = d_in_buffer.view(rows, 2 * hidden);  // [M, 2 * hidden]
  const auto d_embedding = d_embedding_buffer.view(rows, hidden);  // [M, hidden]
  ops::rms_norm_backward(out, w.shared_head_norm.value, mtp_normed_inv_rms.data(), d_normed, d,
                         w.shared_head_norm.grad, pool);
  balance_loss += block_backward(c, w.block, constants, block_in, batch.length, batch.document_start, block,
                                 d, balance, pool);
  project_backward(w.eh_proj, in, d, d_in, pool);
  ops::rms_norm_backward(embedding, w.enorm.value, enorm_inv_rms, d_in.slice_cols(0, hidden), d_embedding,
                         w.enorm.grad, pool);
  ops::rms_norm_backward(h, w.hnorm.value, hnorm_inv_rms, d_in.slice_cols(hidden, hidden),
                         d_final.view(rows, hidden), w.hnorm.grad, pool);
  if (table.grad != nullptr) ops::embedding_backward(d_embedding, next, table.gradient(), pool);
  return loss;
}

LossResult Transformer::Impl::run(const TokenBatch& batch, const LossOptions& options, bool backward,
                                  base::ThreadPool& pool, std::vector<float>* per_token) {
  HADAL_CHECK(!backward || store.gradients().size() > 0);
  check(batch);
  ready = false;
  forward(batch, pool);
  predictions = predictions_of(batch);

  LossResult result;
  result.tokens = batch.rows * batch.length;
  result.loss = main_loss(options, backward, pool);
  if (per_token != nullptr) {
    per_token->assign(static_cast<size_t>(result.tokens), 0.0f);
    for (size_t i = 0; i < predictions.positions.size(); ++i) {
      (*per_token)[static_cast<size_t>(predictions.positions[i])] = losses.data()[i];
    }
  }
  const bool with_mtp = store.weights().mtp.has_value() && options.mtp_weight > 0;
  if (with_mtp) result.mtp_loss = mtp(batch, options, backward, result.balance_loss, pool);
  count_loads(with_mtp, result);
  const BalanceLoss balance{options.sequence_balance_alpha, options.gradient_scale, batch.length};
  result.balance_loss = backward ? layers_backward(batch, balance, pool, result.balance_loss)
                                 : balance_loss(balance, pool, result.balance_loss);
  return result;
}

void Transformer::Impl::count_loads(bool with_mtp, LossResult& result) const {
  const ModelWeights& w = store.weights();
  for (size_t i = 0; i <= w.layers.size(); ++i) {
    const bool is_mtp = i == w.layers.size();
    if (is_mtp ? !with_mtp || !w.mtp->block.moe : !w.layers[i].moe) continue;
    const auto& offsets = blocks[i].moe.order.offsets;
    std::vector<int64_t> load;
    for (size_t e = 0; e + 1 < offsets.size(); ++e) load.push_back(offsets[e + 1] - offsets[e]);
    result.expert_load.push_back(std::move(load));
  }
}

// `loss` and that of the main model's layers, after a forward pass.
double Transformer::Impl::balance_loss(const BalanceLoss& balance, base::ThreadPool& pool,
                                       double loss) const {
  const ModelWeights& w = store.weights();
  for (size_t i = 0; i < w.layers.size(); ++i) {
    if (w.layers[i].moe) loss += moe_balance_loss(config(), *w.layers[i].moe, blocks[i].moe, balance, pool);
  }
  return loss;
}

// From d_final down to the embedding; returns `loss` and the layers' balance loss.
double Transformer::Impl::layers_backward(const TokenBatch& batch, const BalanceLoss& balance,
                                          base::ThreadPool& pool, double loss) {
  const ModelConfig& c = config();
  const ModelWeights& w = store.weights();
  const int64_t rows = batch.rows * batch.length, hidden = c.hidden_size;
  const auto layers = static_cast<size_t>(c.num_hidden_layers);
  d_stream.resize(rows * hidden);
  d_stream.zero();
  const auto stream_gradient = d_stream.view(rows, hidden);
  ops::rms_norm_backward(streams[layers].view(rows, hidden), w.norm.value, final_inv_rms.data(),
                         d_final.view(rows, hidden), stream_gradient, w.norm.grad, pool);
  for (size_t i = layers; i-- > 0;) {
    loss += block_backward(c, w.layers[i], constants, streams[i].view(rows, hidden), batch.length,
                           batch.document_start, blocks[i], stream_gradient, balance, pool);
  }
  if (w.embed_tokens.grad != nullptr) {
    ops::embedding_backward(stream_gradient, column_range(batch, 0), w.embed_tokens.gradient(), pool);
  }
  return loss;
}

LossResult Transformer::Impl::finish_backward(const HeadTile& to_gradient, const LossOptions& options,
                                              base::ThreadPool& pool) {
  HADAL_CHECK(ready && store.gradients().size() > 0);
  ready = false;
  run_head(to_gradient, /*backward=*/true, pool);
  LossResult result;
  result.tokens = forwarded.rows * forwarded.length;
  count_loads(/*with_mtp=*/false, result);
  const BalanceLoss balance{options.sequence_balance_alpha, options.gradient_scale, forwarded.length};
  result.balance_loss = layers_backward(forwarded, balance, pool, 0);
  return result;
}

Transformer::Transformer() = default;
Transformer::~Transformer() = default;

std::unique_ptr<Transformer> Transformer::create(const ModelConfig& config, uint64_t seed, double init_std) {
  std::unique_ptr<Transformer> model(new Transformer);
  model->impl_ = std::make_unique<Impl>(WeightStore(config));
  model->impl_->store.initialise(seed, init_std);
  return model;
}

std::unique_ptr<Transformer> Transformer::load(const std::string& model_directory) {
  std::unique_ptr<Transformer> model(new Transformer);
  model->impl_ = std::make_unique<Impl>(WeightStore::load(model_directory));
  return model;
}

const ModelConfig& Transformer::config() const { return impl_->config(); }
std::vector<Parameter>& Transformer::parameters() { return impl_->store.parameters(); }
const std::vector<Parameter>& Transformer::parameters() const { return impl_->store.parameters(); }
int64_t Transformer::parameter_count() const { return impl_->store.parameter_count(); }
void Transformer::add_adapters(const LoraOptions& options, uint64_t seed) {
  impl_->store.add_adapters(options, seed);
}
std::vector<Parameter>& Transformer::adapters() { return impl_->store.adapters(); }
const std::vector<Parameter>& Transformer::adapters() const { return std::as_const(impl_->store).adapters(); }

std::vector<Parameter*> Transformer::trained(bool with_mtp) {
  std::vector<Parameter*> out;
  for (Parameter& p : adapters()) out.push_back(&p);
  if (!out.empty()) return out;
  const std::string mtp = "model.layers." + std::to_string(config().num_hidden_layers) + ".";
  for (Parameter& p : parameters()) {
    if (p.trainable && (with_mtp || !p.name.starts_with(mtp))) out.push_back(&p);
  }
  return out;
}

void Transformer::enable_gradients() { impl_->store.enable_gradients(); }

void Transformer::zero_gradients(base::ThreadPool& pool) {
  auto& gradients = impl_->store.gradients();
  base::parallel_for(pool, gradients.size(), 1 << 18, [&](int64_t begin, int64_t end) {
    std::fill(gradients.data() + begin, gradients.data() + end, 0.0f);
  });
}

LossResult Transformer::forward_backward(const TokenBatch& batch, const LossOptions& options,
                                         base::ThreadPool& pool) {
  return impl_->run(batch, options, /*backward=*/true, pool, nullptr);
}

LossResult Transformer::evaluate(const TokenBatch& batch, const LossOptions& options, base::ThreadPool& pool,
                                 std::vector<float>* per_token) {
  return impl_->run(batch, options, /*backward=*/false, pool, per_token);
}

LossResult Transformer::forward(const TokenBatch& batch, base::ThreadPool& pool, std::vector<float>& logprobs,
                                std::vector<float>* entropies) {
  Impl& m = *impl_;
  m.check(batch);
  m.forward(batch, pool);
  m.predictions = predictions_of(batch);
  m.forwarded = batch;
  m.ready = true;
  const size_t n = m.predictions.targets.size(), all = static_cast<size_t>(batch.rows * batch.length);
  std::vector<float> values(n), spread(entropies != nullptr ? n : 0);
  const HeadTile tile = [&](int64_t first, tensor::Matrix out) {
    const auto targets =
        std::span(m.predictions.targets).subspan(static_cast<size_t>(first), static_cast<size_t>(out.rows));
    ops::token_logprobs(out, targets, values.data() + first,
                        entropies != nullptr ? spread.data() + first : nullptr, pool);
  };
  m.run_head(tile, /*backward=*/false, pool);
  LossResult result;
  result.tokens = static_cast<int64_t>(all);
  logprobs.assign(all, 0.0f);
  if (entropies != nullptr) entropies->assign(all, 0.0f);
  for (size_t i = 0; i < n; ++i) {
    const auto at = static_cast<size_t>(m.predictions.positions[i]);
    logprobs[at] = values[i];
    if (entropies != nullptr) (*entropies)[at] = spread[i];
    result.loss -= static_cast<double>(values[i]) / static_cast<double>(n);
  }
  m.count_loads(/*with_mtp=*/false, result);
  return result;
}

LossResult Transformer::backward(std::span<const float> d_logprobs, const LossOptions& options,
                                 base::ThreadPool& pool) {
  Impl& m = *impl_;
  HADAL_CHECK(static_cast<int64_t>(d_logprobs.size()) == m.forwarded.rows * m.forwarded.length);
  std::vector<float> d;
  for (const int64_t at : m.predictions.positions) d.push_back(d_logprobs[static_cast<size_t>(at)]);
  const HeadTile tile = [&](int64_t first, tensor::Matrix out) {
    const auto begin = static_cast<size_t>(first), count = static_cast<size_t>(out.rows);
    ops::token_logprobs_backward(out, std::span(m.predictions.targets).subspan(begin, count),
                                 std::span(d).subspan(begin, count), pool);
  };
  return m.finish_backward(tile, options, pool);
}

void Transformer::visit_logits(const LogitsTile& see, base::ThreadPool& pool) {
  Impl& m = *impl_;
  HADAL_CHECK(m.ready);
  const HeadTile tile = [&](int64_t first, tensor::Matrix out) {
    see(std::span(m.predictions.positions).subspan(static_cast<size_t>(first), static_cast<size_t>(out.rows)),
        out);
  };
  m.run_head(tile, /*backward=*/false, pool);
}

LossResult Transformer::backward_logits(const LogitsTile& to_gradient, const LossOptions& options,
                                        base::ThreadPool& pool) {
  Impl& m = *impl_;
  const HeadTile tile = [&](int64_t first, tensor::Matrix out) {
    to_gradient(
        std::span(m.predictions.positions).subspan(static_cast<size_t>(first), static_cast<size_t>(out.rows)),
        out);
  };
  return m.finish_backward(tile, options, pool);
}

std::vector<std::span<float>> Transformer::routing_biases() {
  std::vector<std::span<float>> biases;
  const auto add = [&](const BlockWeights& block) {
    if (!block.moe || block.moe->e_score_correction_bias.empty()) return;
    const Weight& bias = block.moe->e_score_correction_bias;
    biases.emplace_back(bias.value, static_cast<size_t>(bias.cols));
  };
  const ModelWeights& w = impl_->store.weights();
  for (const auto& layer : w.layers) add(layer);
  if (w.mtp) add(w.mtp->block);
  return biases;
}

}  // namespace hadal::model
