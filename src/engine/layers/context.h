// What the layers of inference share: the model's constants, the precision and the threads. Matrices stay in
// their stored format; activations are FP32.
#pragma once

#include <algorithm>
#include <initializer_list>

#include "base/thread_pool.h"
#include "kernels/quant_gemm.h"
#include "model/layers/mla.h"
#include "model/stored_weights.h"
#include "tensor/tensor.h"

namespace hadal::engine {

using kernels::Activations;
using kernels::Precision;
using kernels::QuantGemm;
using quant::QuantMatrix;
using tensor::Buffer;
using tensor::ConstMatrix;
using tensor::Matrix;

struct LayerContext {
  const model::ModelConfig& config;
  const model::AttentionConstants& constants;
  Precision precision;
  base::ThreadPool& pool;

  bool needs_int8(const QuantMatrix& w) const {
    return precision == Precision::kFast && !w.empty() && kernels::uses_int8(*w.format);
  }
  // Makes x ready for products with these weights.
  void prepare(Activations& inputs, ConstMatrix x, std::initializer_list<const QuantMatrix*> weights) const {
    const bool int8 =
        std::any_of(weights.begin(), weights.end(), [&](const auto* w) { return needs_int8(*w); });
    inputs.assign(x, int8, pool);
  }
  void multiply(std::initializer_list<QuantGemm> problems) const {
    kernels::quant_gemm({problems.begin(), problems.size()}, precision, pool);
  }
};

// y[M, N] (+)= x[M, K] w[N, K]^T over all rows of x.
inline QuantGemm product(const Activations& x, const QuantMatrix& w, Matrix y, bool accumulate = false) {
  return {&x, nullptr, x.values().rows, w, y.data, y.stride, accumulate};
}

}  // namespace hadal::engine
