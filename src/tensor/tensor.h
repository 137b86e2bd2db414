// Views and owners of FP32 matrices. A view is borrowed memory with a shape; an owner is a 64-byte aligned
// block.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <vector>

#include "base/error.h"

namespace hadal::tensor {

using Shape = std::vector<int64_t>;

inline int64_t element_count(const Shape& shape) {
  int64_t n = 1;
  for (const int64_t d : shape) n *= d;
  return n;
}

// Row-major [rows, cols] with `stride` elements between rows.
template <typename T>
struct MatrixView {
  T* data = nullptr;
  int64_t rows = 0;
  int64_t cols = 0;
  int64_t stride = 0;

  T* row(int64_t i) const { return data + i * stride; }
  MatrixView slice_rows(int64_t begin, int64_t count) const { return {row(begin), count, cols, stride}; }
  MatrixView slice_cols(int64_t begin, int64_t count) const { return {data + begin, rows, count, stride}; }
  operator MatrixView<const T>() const { return {data, rows, cols, stride}; }  // NOLINT: implicit on purpose
};

using Matrix = MatrixView<float>;
using ConstMatrix = MatrixView<const float>;

inline Matrix matrix(float* data, int64_t rows, int64_t cols) { return {data, rows, cols, cols}; }
inline ConstMatrix matrix(const float* data, int64_t rows, int64_t cols) { return {data, rows, cols, cols}; }

// An aligned, uninitialised FP32 buffer. Movable.
class Buffer {
 public:
  Buffer() = default;
  explicit Buffer(int64_t elements) { resize(elements); }

  // Content is lost when it grows; never shrinks its memory.
  void resize(int64_t elements) {
    if (elements > capacity_) {
      const size_t bytes = (static_cast<size_t>(elements) * sizeof(float) + 63) / 64 * 64;
      data_.reset(static_cast<float*>(std::aligned_alloc(64, bytes)));
      if (!data_) throw_error(ErrorCode::kResource, "cannot allocate {} bytes", bytes);
      capacity_ = elements;
    }
    size_ = elements;
  }
  void zero() {
    if (size_ > 0) std::memset(data_.get(), 0, static_cast<size_t>(size_) * sizeof(float));
  }
  float* data() { return data_.get(); }
  const float* data() const { return data_.get(); }
  int64_t size() const { return size_; }
  Matrix view(int64_t rows, int64_t cols) { return matrix(data_.get(), rows, cols); }
  ConstMatrix view(int64_t rows, int64_t cols) const { return matrix(data(), rows, cols); }

 private:
  struct Free {
    void operator()(float* p) const { std::free(p); }
  };
  std::unique_ptr<float, Free> data_;
  int64_t size_ = 0;
  int64_t capacity_ = 0;
};

}  // namespace hadal::tensor
