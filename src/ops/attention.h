// Causal softmax attention, head by head, over blocks of queries so that a score block stays in cache. The
// backward pass recomputes the scores from the saved log-sum-exp (Dao 2023, FlashAttention-2).
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

using tensor::ConstMatrix;
using tensor::Matrix;

// Queries are the last `queries` of `keys` positions of each of `sequences` sequences. Row r of q is query
// r % queries of sequence r / queries; rows of k_nope, k_pe and v are r % keys of r / keys.
struct AttentionShape {
  int64_t sequences = 0;
  int64_t queries = 0;
  int64_t keys = 0;
  int64_t heads = 0;
  int64_t kv_heads = 0;  // 0: one K and V a head; else head h reads those of h * kv_heads / heads (GQA)
  int64_t nope = 0;      // qk_nope_head_dim
  int64_t rope = 0;      // qk_rope_head_dim
  int64_t v = 0;         // v_head_dim
  float scale = 1;       // on the scores
  int64_t kv_head_count() const { return kv_heads > 0 ? kv_heads : heads; }
  // The first column of kv that a head reads: K [nope], then V [v].
  int64_t kv_column(int64_t head) const { return head * kv_head_count() / heads * (nope + v); }
  // Empty, or [sequences * keys]: the first position that a query at this position may see.
  std::span<const int32_t> document_start;
};

// q [sequences * queries, heads * (nope + rope)], rotated. kv [sequences * keys, kv_heads * (nope + v)]: k
// and v of each KV head side by side, as kv_b_proj gives them. k_pe [sequences * keys, rope], rotated, shared
// by the heads. out [sequences * queries, heads * v]. lse [sequences * queries, heads], or null.
void attention(const AttentionShape& shape, ConstMatrix q, ConstMatrix kv, ConstMatrix k_pe, Matrix out,
               float* lse, base::ThreadPool& pool);

// Needs queries == keys. Writes dq, dkv (shapes of q, kv) and adds to dk_pe (unused where rope is 0).
void attention_backward(const AttentionShape& shape, ConstMatrix q, ConstMatrix kv, ConstMatrix k_pe,
                        ConstMatrix out, const float* lse, ConstMatrix dout, Matrix dq, Matrix dkv,
                        Matrix dk_pe, base::ThreadPool& pool);

}  // namespace hadal::ops
