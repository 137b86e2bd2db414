// Matrix products whose weights stay in their stored format: y[m,n] (+)= x[m,k] * W[n,k]^T for inference, W
// any registered format, memory-mapped, not aligned and not repacked.
//
// Precision::kExact expands W to FP32, value by value as quant::row_to_float does, and multiplies in FP32
// (gemm.h). Precision::kFast takes formats of integer codes (uses_int8) times 8-bit activations: 32 values of
// x share one FP32 scale; a block's sum of products is an exact integer, and
//   acc = fma(d_w * d_x, integer sum, acc), then acc = fma(b_w, d_x * (sum of x's codes), acc) if the format
//   has minima,
// for groups of 32 values (16 for q2_k, q3_k, q6_k) in the order of k. Other formats are FP32 products.
//
// Contract, both precisions: an element of y depends only on its row of x, its row of W, k and (with
// accumulate) its old value; not on m, n, `rows`, the neighbours, the problem's place in a list, nor the
// number of threads, bit for bit. One token alone (decode) gets the bits it gets inside a batch (prefill).
// Bits may differ between instruction sets.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/thread_pool.h"
#include "quant/matrix.h"
#include "tensor/tensor.h"

namespace hadal::kernels {

enum class Precision : uint8_t { kExact, kFast };

// Whether kFast multiplies this format in 8-bit integers, and so needs Activations with their 8-bit form.
bool uses_int8(const quant::WeightFormat& format);

// Rows of x and, when asked for, their 8-bit form: made once for all products that read them (gate and up;
// q_a and kv_a). Reusable: assign() keeps its memory.
class Activations {
 public:
  static constexpr int64_t kGroup = 32;  // values that share a scale

  // Borrows x [rows, cols], which must outlive the products. with_int8: cols is a multiple of kGroup.
  // Groups with an infinity or NaN make every element that reads them NaN or infinite.
  void assign(tensor::ConstMatrix x, bool with_int8, base::ThreadPool& pool);
  void assign(tensor::ConstMatrix x, bool with_int8);  // on the calling thread

  tensor::ConstMatrix values() const { return values_; }
  bool has_int8() const { return has_int8_; }
  int64_t groups() const { return values_.cols / kGroup; }
  // Of row i: x[c] is about codes(i)[c] * scales(i)[c / 32], codes in [-127, 127].
  const int8_t* codes(int64_t i) const { return codes_.get() + i * values_.cols; }
  const float* scales(int64_t i) const { return scales_.data() + i * groups(); }
  // Sums of codes over 16 values: [cols / 16].
  const int32_t* sums(int64_t i) const { return sums_.data() + i * 2 * groups(); }

 private:
  void prepare(tensor::ConstMatrix x, bool with_int8);
  void quantize(int64_t begin, int64_t end);

  struct Free {
    void operator()(int8_t* p) const { std::free(p); }
  };
  tensor::ConstMatrix values_;
  bool has_int8_ = false;
  std::unique_ptr<int8_t, Free> codes_;  // [rows, cols], 64-byte aligned
  int64_t codes_capacity_ = 0;
  std::vector<float> scales_;  // [rows, cols / 32]
  std::vector<int32_t> sums_;  // [rows, cols / 16]
};

// y(i, j) = y[i * y_row + j], i < m, j < w.rows. Row i of y comes from row rows[i] of x, or row i when `rows`
// is null. x->values().cols == w.cols. Outputs of different problems do not overlap.
struct QuantGemm {
  const Activations* x = nullptr;
  const int32_t* rows = nullptr;  // [m]: the tokens of one expert
  int64_t m = 0;
  quant::QuantMatrix w;
  float* y = nullptr;
  int64_t y_row = 0;
  bool accumulate = false;
};

// Spread over the pool: many problems (the experts of a layer) or one large.
void quant_gemm(std::span<const QuantGemm> problems, Precision precision, base::ThreadPool& pool);
inline void quant_gemm(const QuantGemm& problem, Precision precision, base::ThreadPool& pool) {
  quant_gemm(std::span(&problem, 1), precision, pool);
}
// On the calling thread (inside a task of a pool).
void quant_gemm(const QuantGemm& problem, Precision precision);

// y[m,k] (+)= x[m,n] * W[n,k], W = w [n, k]: the product with W from its other side, as MLA's absorbed decode
// needs it. W is expanded to FP32 in both precisions. An element of y depends only on its row of x and its
// column of W.
struct QuantGemmTransposed {
  const float* x = nullptr;  // x(i, j) = x[i * x_row + j]
  int64_t x_row = 0;
  int64_t m = 0;
  quant::QuantMatrix w;
  float* y = nullptr;  // y(i, c) = y[i * y_row + c], c < w.cols
  int64_t y_row = 0;
  bool accumulate = false;
};
void quant_gemm_transposed(std::span<const QuantGemmTransposed> problems, base::ThreadPool& pool);
void quant_gemm_transposed(const QuantGemmTransposed& problem);  // on the calling thread

}  // namespace hadal::kernels
