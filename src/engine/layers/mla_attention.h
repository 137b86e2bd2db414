// Multi-head latent attention for inference. The cache holds kv_lora_rank + qk_rope_head_dim numbers per
// token, normed and rotated. Several queries take the expanded form (K and V of every cached token from its
// latent), one query the absorbed form (DeepSeek-V2 report, appendix C: W_UK goes into the query, W_UV behind
// the sum, and the cache is read as it is); both give the reference's logits.
#pragma once

#include "engine/layers/context.h"

namespace hadal::engine {

struct MlaScratch {
  Activations inputs, q_a_inputs, latents, outputs;
  Buffer q_a, q, kv_a;               // [M, q_lora_rank], [M, heads * qk_head_dim], [M, cache_dim]
  Buffer kv, heads_out;              // expanded: [keys, heads * (nope + v)]; [M, heads * v_head_dim]
  Buffer q_latent, scores, context;  // absorbed: [heads, cache_dim], [heads, keys], [heads, kv_lora_rank]
};

// y += attention(x) for x, y [M, hidden] at positions [first, first + M); cache [first + M, cache_dim], whose
// last M rows are written.
void mla_attention(const LayerContext& context, const model::StoredMla& w, ConstMatrix x, Matrix cache,
                   MlaScratch& scratch, Matrix y);

}  // namespace hadal::engine
