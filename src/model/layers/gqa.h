// Grouped-query attention (Ainslie et al. 2023) over whole sequences, for training: Qwen2 (biases), Qwen3
// (RMSNorm over each head of q and k before RoPE) and Llama. Inference has its own: engine/layers.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "model/layers/mla.h"
#include "model/weights.h"
#include "tensor/tensor.h"

namespace hadal::model {

struct GqaActivations {
  tensor::Buffer q;                     // [M, heads * head_dim], normed where there is a norm, rotated
  tensor::Buffer kv;                    // [M, kv_heads * 2 * head_dim]: K, rotated, and V of each KV head
  tensor::Buffer q_raw, k_raw;          // [M, heads or kv_heads * head_dim]: before the norms of q and k
  tensor::Buffer q_inv_rms, k_inv_rms;  // [M * heads or kv_heads]: of these norms
  tensor::Buffer heads_out;             // [M, heads * head_dim]
  tensor::Buffer lse;                   // [M, heads]
};

// y += attention(x); x, y [sequences * length, hidden].
void gqa_forward(const ModelConfig& config, const AttentionWeights& w, const AttentionConstants& constants,
                 tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                 GqaActivations& a, tensor::Matrix y, base::ThreadPool& pool);
// dx += gradient; weights' gradients are added. Uses up the activations.
void gqa_backward(const ModelConfig& config, const AttentionWeights& w, const AttentionConstants& constants,
                  tensor::ConstMatrix x, int64_t length, std::span<const int32_t> document_start,
                  GqaActivations& a, tensor::ConstMatrix dy, tensor::Matrix dx, base::ThreadPool& pool);

}  // namespace hadal::model
