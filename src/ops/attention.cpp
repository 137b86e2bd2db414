#include "ops/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {

constexpr int64_t kQueryBlock = 64;

void check_shapes(const AttentionShape& s, ConstMatrix q, ConstMatrix kv, ConstMatrix k_pe) {
  HADAL_CHECK(s.keys >= s.queries && s.queries > 0);
  HADAL_CHECK(q.rows == s.sequences * s.queries && q.cols == s.heads * (s.nope + s.rope));
  HADAL_CHECK(kv.rows == s.sequences * s.keys && kv.cols == s.kv_head_count() * (s.nope + s.v));
  HADAL_CHECK(s.rope == 0 || (k_pe.rows == s.sequences * s.keys && k_pe.cols == s.rope));
  HADAL_CHECK(s.heads % s.kv_head_count() == 0);
  HADAL_CHECK(s.document_start.empty() ||
              static_cast<int64_t>(s.document_start.size()) == s.sequences * s.keys);
}

// The keys of one head in one piece: [keys, nope + rope].
void gather_keys(const AttentionShape& s, ConstMatrix kv, ConstMatrix k_pe, int64_t sequence, int64_t head,
                 float* keys) {
  for (int64_t j = 0; j < s.keys; ++j) {
    const int64_t row = sequence * s.keys + j;
    const float* nope = kv.row(row) + s.kv_column(head);
    keys = std::copy(nope, nope + s.nope, keys);
    keys = std::copy(k_pe.row(row), k_pe.row(row) + s.rope, keys);
  }
}

int64_t first_key(const AttentionShape& s, int64_t sequence, int64_t position) {
  return s.document_start.empty() ? 0 : s.document_start[static_cast<size_t>(sequence * s.keys + position)];
}

// One task of a sequence and head: its scratch, kept by the worker between tasks.
struct Scratch {
  tensor::Buffer keys, scores, dscores, dkeys;
};

Scratch& scratch() {
  static thread_local Scratch s;
  return s;
}

}  // namespace

void attention(const AttentionShape& s, ConstMatrix q, ConstMatrix kv, ConstMatrix k_pe, Matrix out,
               float* lse, base::ThreadPool& pool) {
  check_shapes(s, q, kv, k_pe);
  HADAL_CHECK(out.rows == q.rows && out.cols == s.heads * s.v);
  const int64_t qk = s.nope + s.rope;
  const int64_t past = s.keys - s.queries;
  pool.run(s.sequences * s.heads, [&](int64_t task, int) {
    const int64_t sequence = task / s.heads, head = task % s.heads;
    Scratch& t = scratch();
    t.scores.resize(std::min(kQueryBlock, s.queries) * s.keys);
    const float* k = kv.row(sequence * s.keys) + s.kv_column(head);  // [keys, qk], in place without k_pe
    const float* v = k + s.nope;
    int64_t k_stride = kv.stride;
    if (s.rope > 0) {
      t.keys.resize(s.keys * qk);
      gather_keys(s, kv, k_pe, sequence, head, t.keys.data());
      k = t.keys.data();
      k_stride = qk;
    }
    for (int64_t begin = 0; begin < s.queries; begin += kQueryBlock) {
      const int64_t rows = std::min(kQueryBlock, s.queries - begin);
      const int64_t visible = past + begin + rows;  // keys that the block's last query sees
      const int64_t q_row = sequence * s.queries + begin;
      kernels::gemm(kernels::gemm_nt(q.row(q_row) + head * qk, q.stride, k, k_stride, t.scores.data(),
                                     visible, rows, visible, qk));
      for (int64_t i = 0; i < rows; ++i) {
        float* row = t.scores.data() + i * visible;
        const int64_t last = past + begin + i;
        const int64_t first = first_key(s, sequence, last);
        kernels::scale(s.scale, row + first, last + 1 - first);
        const float sum = kernels::softmax(row + first, last + 1 - first);
        if (lse != nullptr) lse[(q_row + i) * s.heads + head] = sum;
        std::fill(row, row + first, 0.0f);
        std::fill(row + last + 1, row + visible, 0.0f);
      }
      kernels::gemm(kernels::gemm_nn(t.scores.data(), visible, v, kv.stride, out.row(q_row) + head * s.v,
                                     out.stride, rows, s.v, visible));
    }
  });
}

void attention_backward(const AttentionShape& s, ConstMatrix q, ConstMatrix kv, ConstMatrix k_pe,
                        ConstMatrix out, const float* lse, ConstMatrix dout, Matrix dq, Matrix dkv,
                        Matrix dk_pe, base::ThreadPool& pool) {
  check_shapes(s, q, kv, k_pe);
  HADAL_CHECK(s.queries == s.keys && dout.rows == q.rows && dq.rows == q.rows && dkv.rows == kv.rows);
  const int64_t qk = s.nope + s.rope;
  const int64_t kv_heads = s.kv_head_count(), group = s.heads / kv_heads;
  // Heads share k_pe: each KV head writes its own part, summed below in a fixed order.
  tensor::Buffer dk_pe_heads(kv_heads * k_pe.rows * s.rope);  // [kv_heads, sequences * keys, rope]
  // A task is a KV head with all the heads that read it, one after the other.
  pool.run(s.sequences * kv_heads, [&](int64_t task, int) {
    const int64_t sequence = task / kv_heads, kv_head = task % kv_heads;
    Scratch& t = scratch();
    t.keys.resize(s.keys * qk);
    t.dkeys.resize(s.keys * qk);
    t.scores.resize(kQueryBlock * s.keys);
    t.dscores.resize(kQueryBlock * s.keys);
    gather_keys(s, kv, k_pe, sequence, kv_head * group, t.keys.data());
    t.dkeys.zero();
    const int64_t kv_row = sequence * s.keys, kv_column = kv_head * (s.nope + s.v);
    const float* v = kv.row(kv_row) + kv_column + s.nope;
    float* dv = dkv.row(kv_row) + kv_column + s.nope;
    for (int64_t j = 0; j < s.keys; ++j) std::fill_n(dv + j * dkv.stride, s.v, 0.0f);
    for (int64_t head = kv_head * group; head < (kv_head + 1) * group; ++head) {
      for (int64_t begin = 0; begin < s.queries; begin += kQueryBlock) {
        const int64_t rows = std::min(kQueryBlock, s.queries - begin);
        const int64_t visible = begin + rows;
        const int64_t q_row = sequence * s.queries + begin;
        const float* q_head = q.row(q_row) + head * qk;
        const float* dout_head = dout.row(q_row) + head * s.v;
        kernels::gemm(kernels::gemm_nt(q_head, q.stride, t.keys.data(), qk, t.scores.data(), visible, rows,
                                       visible, qk));
        kernels::gemm(kernels::gemm_nt(dout_head, dout.stride, v, kv.stride, t.dscores.data(), visible, rows,
                                       visible, s.v));
        for (int64_t i = 0; i < rows; ++i) {
          float* p = t.scores.data() + i * visible;
          float* dp = t.dscores.data() + i * visible;
          const int64_t last = begin + i;
          const int64_t first = first_key(s, sequence, last);
          const float delta =
              kernels::dot(dout.row(q_row + i) + head * s.v, out.row(q_row + i) + head * s.v, s.v);
          kernels::attention_probabilities_backward(
              p + first, dp + first, s.scale, lse[(q_row + i) * s.heads + head], delta, last + 1 - first);
          std::fill(p, p + first, 0.0f);
          std::fill(dp, dp + first, 0.0f);
          std::fill(p + last + 1, p + visible, 0.0f);
          std::fill(dp + last + 1, dp + visible, 0.0f);
        }
        kernels::gemm(kernels::gemm_nn(t.dscores.data(), visible, t.keys.data(), qk,
                                       dq.row(q_row) + head * qk, dq.stride, rows, qk, visible));
        kernels::gemm(kernels::gemm_tn(t.dscores.data(), visible, q_head, q.stride, t.dkeys.data(), qk,
                                       visible, qk, rows, true));
        kernels::gemm(kernels::gemm_tn(t.scores.data(), visible, dout_head, dout.stride, dv, dkv.stride,
                                       visible, s.v, rows, true));
      }
    }
    for (int64_t j = 0; j < s.keys; ++j) {
      const float* from = t.dkeys.data() + j * qk;
      std::copy_n(from, s.nope, dkv.row(kv_row + j) + kv_column);
      std::copy_n(from + s.nope, s.rope, dk_pe_heads.data() + (kv_head * k_pe.rows + kv_row + j) * s.rope);
    }
  });
  if (s.rope == 0) return;
  base::parallel_for(pool, k_pe.rows, 64, [&](int64_t begin, int64_t end) {
    for (int64_t head = 0; head < kv_heads; ++head) {
      for (int64_t r = begin; r < end; ++r) {
        const float* from = dk_pe_heads.data() + (head * k_pe.rows + r) * s.rope;
        for (int64_t i = 0; i < s.rope; ++i) dk_pe.row(r)[i] += from[i];
      }
    }
  });
}

}  // namespace hadal::ops
