// AdamW with decoupled weight decay (Loshchilov and Hutter 2019) over a Transformer's parameters, with
// clipping by the global norm of the gradient. Master weights are the model's own FP32 values; the moments
// are FP32 or BF16.
//
// Weight decay applies to matrices that multiply activations. Norm weights and other vectors are left out:
// pulling a gain towards 0 is no regularisation. So is the embedding table: a row whose token is absent from
// a batch gets no gradient, and decay would shrink rare tokens by the clock instead of by evidence (recipe:
// decay_embeddings).
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "model/transformer.h"
#include "ops/adamw.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

namespace hadal::train {

enum class MomentType { kF32, kBF16 };

struct OptimizerOptions {
  double beta1 = 0.9;
  double beta2 = 0.95;
  double eps = 1e-8;
  double weight_decay = 0.1;
  double clip_norm = 1.0;  // 0: no clipping
  MomentType moments = MomentType::kF32;
  bool decay_embeddings = false;
};

class Optimizer {
 public:
  // Updates model.trained(with_mtp). The model must have its gradients on, and must outlive the optimizer.
  Optimizer(model::Transformer& model, const OptimizerOptions& options, bool with_mtp = true);

  // One update from Parameter::grad. Returns the norm of the gradient before clipping; when it is not finite
  // nothing is changed.
  double step(double lr, base::ThreadPool& pool);

  int64_t steps() const { return steps_; }  // updates done
  void set_steps(int64_t steps) { steps_ = steps; }

  // One pair of moments per trainable parameter, in the model's order.
  struct Moments {
    std::string name;
    tensor::Shape shape;
    int64_t offset;  // into the flat buffers
    int64_t size;
  };
  const std::vector<Moments>& moments() const { return layout_; }
  tensor::DType moment_dtype() const;
  // The memory of one tensor's moments, for checkpoints: size * dtype_bytes(moment_dtype()) bytes.
  std::span<std::byte> first_moment(const Moments& which);
  std::span<std::byte> second_moment(const Moments& which);

 private:
  OptimizerOptions options_;
  std::vector<ops::OptimizerTensor> tensors_;
  std::vector<Moments> layout_;
  std::vector<float> m_, v_;               // [elements] when the moments are FP32
  std::vector<uint16_t> m_bf16_, v_bf16_;  // [elements] when they are BF16
  int64_t steps_ = 0;
};

}  // namespace hadal::train
