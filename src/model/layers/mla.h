// Multi-head latent attention (DeepSeek-V2 eq. 37-47, DeepSeek-V3 eq. 1-11) over whole sequences, in the
// expanded form: the form for training. Inference shares the projections: see engine/session.cpp.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "model/weights.h"
#include "ops/attention.h"
#include "ops/rope.h"
#include "tensor/tensor.h"

namespace hadal::model {

// RoPE frequencies and the softmax scale, (qk_head_dim)^-1/2 times mscale^2 where YaRN is on. Of either kind
// of attention.
struct AttentionConstants {
  explicit AttentionConstants(const ModelConfig& config);
  ops::RopeTable rope;
  float softmax_scale = 1;
};

// What ops::attention needs to know of a model, of either kind.
ops::AttentionShape attention_shape(const ModelConfig& config, const AttentionConstants& constants,
                                    int64_t sequences, int64_t queries, int64_t keys);

struct MlaActivations {
  tensor::Buffer q_a, q_a_normed;  // [M, q_lora_rank]
  tensor::Buffer q_a_inv_rms;      // [M]
  tensor::Buffer q;                // [M, heads * qk_head_dim], rotated
  tensor::Buffer kv_a;          // [M, kv_lora_rank + qk_rope_head_dim], as projected; the rope part rotated
  tensor::Buffer kv_a_normed;   // [M, kv_lora_rank]
  tensor::Buffer kv_a_inv_rms;  // [M]
  tensor::Buffer kv;            // [M, heads * (qk_nope_head_dim + v_head_dim)]
  tensor::Buffer heads_out;     // [M, heads * v_head_dim]
  tensor::Buffer lse;           // [M, heads]
};

// q, rotated, and the latent (normed, with its rotated k_pe) of rows whose positions start at first_position
// and wrap after `length` (one row a token): what decode and prefill need too.
void mla_project(const ModelConfig& config, const AttentionWeights& w, const AttentionConstants& constants,
                 tensor::ConstMatrix x, int64_t first_position, int64_t length, MlaActivations& a,
                 base::ThreadPool& pool);

// y += attention(x); x, y [sequences * length, hidden].
void mla_forward(const ModelConfig& config, const AttentionWeights& w, const AttentionConstants& constants,
                 tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                 MlaActivations& a, tensor::Matrix y, base::ThreadPool& pool);
// dx += gradient; weights' gradients are added. Uses up the activations.
void mla_backward(const ModelConfig& config, const AttentionWeights& w, const AttentionConstants& constants,
                  tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                  MlaActivations& a, tensor::ConstMatrix dy, tensor::Matrix dx, base::ThreadPool& pool);

}  // namespace hadal::model
