#include "model/transformer.h"

#include <algorithm>
#include <deque>

#include "base/error.h"
#include "model/layers/block.h"
#include "ops/cross_entropy.h"
#include "ops/embedding.h"
#include "ops/linear.h"
#include "ops/rms_norm.h"

namespace hadal::model {

namespace {
// Rows of logits that exist at one time: bounds the largest buffer to kLogitRows * vocab_size.
constexpr int64_t kLogitRows = 1024;
}  // namespace

struct Transformer::Impl {
  explicit Impl(WeightStore weights) : store(std::move(weights)), constants(store.config()) {}

  WeightStore store;
  AttentionConstants constants;

  // Activations of one pass, kept between steps so that a step allocates little.
  std::deque<tensor::Buffer>
      streams;  // [layers + 1] of [M, hidden]: each layer's input, then the last output
  std::deque<BlockActivations> blocks;                            // [layers + 1]: the MTP module's last
  tensor::Buffer final_normed, final_inv_rms;                     // [M, hidden], [M]
  tensor::Buffer logits;                                          // [kLogitRows, vocab]
  tensor::Buffer losses;                                          // [M]
  tensor::Buffer d_stream, d_final;                               // [M, hidden]
  tensor::Buffer mtp_embedding, mtp_in, mtp_inv_rms, mtp_hidden;  // see mtp_forward
  tensor::Buffer mtp_out, mtp_normed, mtp_normed_inv_rms, mtp_d_out;

  const ModelConfig& config() const { return store.config(); }

  void forward(const TokenBatch& batch, base::ThreadPool& pool);
  LossResult run(const TokenBatch& batch, const LossOptions& options, bool backward, base::ThreadPool& pool,
                 std::vector<float>* per_token);
  double head_loss(tensor::ConstMatrix hidden, std::span<const int32_t> targets, float gradient_scale,
                   bool backward, tensor::Matrix d_hidden, base::ThreadPool& pool);
  double mtp(const TokenBatch& batch, const LossOptions& options, bool backward, double& balance_loss,
             base::ThreadPool& pool);
  std::vector<int32_t> column_range(const TokenBatch& batch, int64_t first) const;
};

// tokens[:, first : first + length]
std::vector<int32_t> Transformer::Impl::column_range(const TokenBatch& batch, int64_t first) const {
  std::vector<int32_t> out(static_cast<size_t>(batch.rows * batch.length), -1);
  const int64_t width = batch.length + 1;
  const int64_t count = std::min(batch.length, width - first);
  for (int64_t r = 0; r < batch.rows; ++r) {
    std::copy_n(batch.tokens.begin() + r * width + first, count, out.begin() + r * batch.length);
  }
  return out;
}

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

// Mean cross-entropy of hidden[M, hidden] through lm_head; with `backward`, d_hidden is set and lm_head's
// gradient added. Fills `losses`.
double Transformer::Impl::head_loss(tensor::ConstMatrix hidden, std::span<const int32_t> targets,
                                    float gradient_scale, bool backward, tensor::Matrix d_hidden,
                                    base::ThreadPool& pool) {
  const ModelConfig& c = config();
  const Weight& head = store.weights().lm_head;
  const int64_t counted = std::count_if(targets.begin(), targets.end(), [](int32_t t) { return t >= 0; });
  if (counted == 0) return 0;
  losses.resize(hidden.rows);
  logits.resize(std::min(kLogitRows, hidden.rows) * c.vocab_size);
  const float scale = gradient_scale / static_cast<float>(counted);
  for (int64_t begin = 0; begin < hidden.rows; begin += kLogitRows) {
    const int64_t rows = std::min(kLogitRows, hidden.rows - begin);
    const auto part = hidden.slice_rows(begin, rows);
    const auto out = logits.view(rows, c.vocab_size);
    ops::linear(part, head.matrix(), out, pool);
    ops::cross_entropy(out, targets.subspan(static_cast<size_t>(begin), static_cast<size_t>(rows)), scale,
                       backward, losses.data() + begin, pool);
    if (!backward) continue;
    ops::linear_backward_weight(out, part, head.gradient(), pool);
    ops::linear_backward_input(out, head.matrix(), d_hidden.slice_rows(begin, rows), pool);
  }
  double sum = 0;
  for (int64_t i = 0; i < hidden.rows; ++i) sum += losses.data()[i];
  return sum / static_cast<double>(counted);
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
  auto targets = column_range(batch, 2);  // the last of each row is unknown: -1
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
  ops::linear(in, w.eh_proj.matrix(), block_in, pool);
  block_forward(c, w.block, constants, block_in, batch.length, batch.document_start, block, out, pool);
  ops::rms_norm(out, w.shared_head_norm.value, c.rms_norm_eps, normed, mtp_normed_inv_rms.data(), pool);
  mtp_d_out.resize(rows * hidden);
  const auto d_normed = mtp_d_out.view(rows, hidden);
  const double loss =
      head_loss(normed, targets, options.gradient_scale * options.mtp_weight, backward, d_normed, pool);
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
  ops::linear_backward_weight(d, in, w.eh_proj.gradient(), pool);
  ops::linear_backward_input(d, w.eh_proj.matrix(), d_in, pool);
  ops::rms_norm_backward(embedding, w.enorm.value, enorm_inv_rms, d_in.slice_cols(0, hidden), d_embedding,
                         w.enorm.grad, pool);
  ops::rms_norm_backward(h, w.hnorm.value, hnorm_inv_rms, d_in.slice_cols(hidden, hidden),
                         d_final.view(rows, hidden), w.hnorm.grad, pool);
  ops::embedding_backward(d_embedding, next, table.gradient(), pool);
  return loss;
}

LossResult Transformer::Impl::run(const TokenBatch& batch, const LossOptions& options, bool backward,
                                  base::ThreadPool& pool, std::vector<float>* per_token) {
  const ModelConfig& c = config();
  const ModelWeights& w = store.weights();
  const int64_t rows = batch.rows * batch.length, hidden = c.hidden_size;
  HADAL_CHECK(static_cast<int64_t>(batch.tokens.size()) == batch.rows * (batch.length + 1));
  HADAL_CHECK(!backward || store.gradients().size() > 0);
  for (const int32_t token : batch.tokens) {
    if (token < 0 || token >= c.vocab_size) {
      throw_error(ErrorCode::kBadInput, "[model] token {} is outside the vocabulary of {}", token,
                  c.vocab_size);
    }
  }
  forward(batch, pool);

  LossResult result;
  result.tokens = rows;
  d_final.resize(rows * hidden);
  const auto d = d_final.view(rows, hidden);
  const auto targets = column_range(batch, 1);
  result.loss =
      head_loss(final_normed.view(rows, hidden), targets, options.gradient_scale, backward, d, pool);
  if (per_token != nullptr) per_token->assign(losses.data(), losses.data() + rows);
  const bool with_mtp = w.mtp.has_value() && options.mtp_weight > 0;
  if (with_mtp) result.mtp_loss = mtp(batch, options, backward, result.balance_loss, pool);

  const auto layers = static_cast<size_t>(c.num_hidden_layers);
  const BalanceLoss balance{options.sequence_balance_alpha, options.gradient_scale, batch.length};
  for (size_t i = 0; i <= layers; ++i) {
    const bool is_mtp = i == layers;
    if (is_mtp ? !with_mtp || !w.mtp->block.moe : !w.layers[i].moe) continue;
    const auto& offsets = blocks[i].moe.order.offsets;
    std::vector<int64_t> load;
    for (size_t e = 0; e + 1 < offsets.size(); ++e) load.push_back(offsets[e + 1] - offsets[e]);
    result.expert_load.push_back(std::move(load));
    if (!backward && !is_mtp) {
      result.balance_loss += moe_balance_loss(c, *w.layers[i].moe, blocks[i].moe, balance, pool);
    }
  }
  if (!backward) return result;

  d_stream.resize(rows * hidden);
  d_stream.zero();
  const auto stream_gradient = d_stream.view(rows, hidden);
  ops::rms_norm_backward(streams[layers].view(rows, hidden), w.norm.value, final_inv_rms.data(), d,
                         stream_gradient, w.norm.grad, pool);
  for (size_t i = layers; i-- > 0;) {
    result.balance_loss +=
        block_backward(c, w.layers[i], constants, streams[i].view(rows, hidden), batch.length,
                       batch.document_start, blocks[i], stream_gradient, balance, pool);
  }
  ops::embedding_backward(stream_gradient, column_range(batch, 0), w.embed_tokens.gradient(), pool);
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
