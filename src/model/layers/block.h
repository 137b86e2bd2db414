// One transformer layer: h = x + attention(norm(x)); y = h + feed_forward(norm(h)).
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "model/layers/gqa.h"
#include "model/layers/mla.h"
#include "model/layers/mlp.h"
#include "model/layers/moe.h"
#include "model/weights.h"

namespace hadal::model {

struct BlockActivations {
  tensor::Buffer attention_in, attention_inv_rms;  // [M, hidden], [M]
  tensor::Buffer middle;                           // [M, hidden]: h
  tensor::Buffer mlp_in, mlp_inv_rms;              // [M, hidden], [M]
  MlaActivations mla;                              // one of these two, as the config's attention says
  GqaActivations gqa;
  MlpActivations mlp;
  MoeActivations moe;
};

// x, y [sequences * length, hidden].
void block_forward(const ModelConfig& config, const BlockWeights& w, const AttentionConstants& constants,
                   tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                   BlockActivations& a, tensor::Matrix y, base::ThreadPool& pool);
// d: the gradient of y, replaced by that of x. Returns the balance loss. Uses up the activations.
double block_backward(const ModelConfig& config, const BlockWeights& w, const AttentionConstants& constants,
                      tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                      BlockActivations& a, tensor::Matrix d, const BalanceLoss& balance,
                      base::ThreadPool& pool);

// y += feed_forward(x) of either kind.
void feed_forward(const ModelConfig& config, const BlockWeights& w, tensor::ConstMatrix x,
                  BlockActivations& a, tensor::Matrix y, base::ThreadPool& pool);

}  // namespace hadal::model
