// FP32 matrix products for every part of the model: linear layers forward and backward, experts, attention.
// Contract: an element of C depends only on its own row of A, its own column of B, k and `accumulate`. It
// does not depend on m, n, the strides, the neighbours, or the number of threads, bit for bit. (The order of
// the sum over k is fixed.) That is what lets a batch leave each member's bits alone.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"

namespace hadal::kernels {

// C[m,n] = (accumulate ? C : 0) + A[m,k] * B[k,n].
// A(i,p) = a[i * a_row + p * a_col]; B(p,j) = b[p * b_row + j * b_col]; C(i,j) = c[i * c_row + j].
// One of each pair of strides must be 1 (rows or columns contiguous). A, B and C do not overlap.
struct Gemm {
  const float* a;
  int64_t a_row, a_col;
  const float* b;
  int64_t b_row, b_col;
  float* c;
  int64_t c_row;
  int64_t m, n, k;
  bool accumulate = false;
};

// Helpers that name the layouts of row-major operands.
// y[m,n] = x[m,k] * w[n,k]^T : a linear layer.
inline Gemm gemm_nt(const float* x, int64_t ldx, const float* w, int64_t ldw, float* y, int64_t ldy,
                    int64_t m, int64_t n, int64_t k, bool accumulate = false) {
  return {x, ldx, 1, w, 1, ldw, y, ldy, m, n, k, accumulate};
}
// y[m,n] = x[m,k] * w[k,n] : the gradient of a linear layer's input.
inline Gemm gemm_nn(const float* x, int64_t ldx, const float* w, int64_t ldw, float* y, int64_t ldy,
                    int64_t m, int64_t n, int64_t k, bool accumulate = false) {
  return {x, ldx, 1, w, ldw, 1, y, ldy, m, n, k, accumulate};
}
// y[m,n] = x[k,m]^T * w[k,n] : the gradient of a linear layer's weight.
inline Gemm gemm_tn(const float* x, int64_t ldx, const float* w, int64_t ldw, float* y, int64_t ldy,
                    int64_t m, int64_t n, int64_t k, bool accumulate = false) {
  return {x, 1, ldx, w, ldw, 1, y, ldy, m, n, k, accumulate};
}

// On the calling thread (inside a task of a pool, for example one attention head).
void gemm(const Gemm& problem);

// All problems, spread over the pool; outputs of different problems do not overlap.
void gemm(std::span<const Gemm> problems, base::ThreadPool& pool);
inline void gemm(const Gemm& problem, base::ThreadPool& pool) { gemm(std::span(&problem, 1), pool); }

}  // namespace hadal::kernels
