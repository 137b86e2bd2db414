#include "train/optimizer.h"

#include <algorithm>
#include <cmath>

namespace hadal::train {
namespace {

bool decays(const model::Parameter& parameter, const OptimizerOptions& options) {
  if (parameter.shape.size() < 2) return false;
  return options.decay_embeddings || parameter.name.find("embed_tokens") == std::string::npos;
}

}  // namespace

Optimizer::Optimizer(model::Transformer& model, const OptimizerOptions& options, bool with_mtp)
    : options_(options) {
  int64_t offset = 0;
  for (const model::Parameter* trained : model.trained(with_mtp)) {
    const model::Parameter& parameter = *trained;
    HADAL_CHECK(parameter.grad != nullptr);
    const int64_t size = parameter.size();
    tensors_.push_back({parameter.value, parameter.grad, size, offset, decays(parameter, options)});
    layout_.push_back({parameter.name, parameter.shape, offset, size});
    offset += size;
  }
  const auto elements = static_cast<size_t>(offset);
  if (options_.moments == MomentType::kF32) {
    m_.assign(elements, 0.0f);
    v_.assign(elements, 0.0f);
  } else {
    m_bf16_.assign(elements, 0);
    v_bf16_.assign(elements, 0);
  }
}

double Optimizer::step(double lr, base::ThreadPool& pool) {
  const double norm = ops::gradient_norm(tensors_, pool);
  if (!std::isfinite(norm)) return norm;
  ++steps_;
  ops::AdamWStep step;
  step.lr = lr;
  step.beta1 = options_.beta1;
  step.beta2 = options_.beta2;
  step.eps = options_.eps;
  step.weight_decay = options_.weight_decay;
  step.step = steps_;
  step.grad_scale = options_.clip_norm > 0 && norm > options_.clip_norm ? options_.clip_norm / norm : 1.0;
  if (options_.moments == MomentType::kF32) {
    ops::adamw(step, tensors_, m_.data(), v_.data(), pool);
  } else {
    ops::adamw(step, tensors_, m_bf16_.data(), v_bf16_.data(), pool);
  }
  return norm;
}

tensor::DType Optimizer::moment_dtype() const {
  return options_.moments == MomentType::kF32 ? tensor::DType::kF32 : tensor::DType::kBF16;
}

std::span<std::byte> Optimizer::first_moment(const Moments& which) {
  return m_.empty()
             ? std::as_writable_bytes(
                   std::span(m_bf16_.data() + which.offset, static_cast<size_t>(which.size)))
             : std::as_writable_bytes(std::span(m_.data() + which.offset, static_cast<size_t>(which.size)));
}

std::span<std::byte> Optimizer::second_moment(const Moments& which) {
  return v_.empty()
             ? std::as_writable_bytes(
                   std::span(v_bf16_.data() + which.offset, static_cast<size_t>(which.size)))
             : std::as_writable_bytes(std::span(v_.data() + which.offset, static_cast<size_t>(which.size)));
}

}  // namespace hadal::train
