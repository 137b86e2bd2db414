// Loops over flat arrays with tails, fixed-order sums and exp() for the row-wise kernels. Included once per
// instruction set.

// Per-target include guard.
#if defined(HADAL_KERNELS_VECTOR_MATH_INL_H_) == defined(HWY_TARGET_TOGGLE)
#ifdef HADAL_KERNELS_VECTOR_MATH_INL_H_
#undef HADAL_KERNELS_VECTOR_MATH_INL_H_
#else
#define HADAL_KERNELS_VECTOR_MATH_INL_H_
#endif

#include <cstdint>

#include "hwy/highway.h"

// A loop body: must be inlined, or the vectors that it captures would live in memory.
#ifndef HADAL_BODY
#define HADAL_BODY HWY_ATTR __attribute__((always_inline))
#endif

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {
namespace {
namespace hn = hwy::HWY_NAMESPACE;

using D = hn::ScalableTag<float>;
using V = hn::Vec<D>;
constexpr int64_t kLanes = HWY_LANES(float);

// How much of a vector exists: all of it, or the first `count` lanes (the end of an array). Both go through
// the same arithmetic, so an element's value does not depend on where in the array it stands.
struct Whole {};
struct Part {
  int64_t count;
};

template <typename T, class DT>
HWY_INLINE hn::Vec<DT> load(DT d, const T* p, Whole) {
  return hn::LoadU(d, p);
}
// Missing lanes hold `fill`.
template <typename T, class DT>
HWY_INLINE hn::Vec<DT> load(DT d, const T* p, Part part, T fill = T(0)) {
  HWY_ALIGN T lanes[kLanes];
  for (int64_t i = 0; i < kLanes; ++i) lanes[i] = i < part.count ? p[i] : fill;
  return hn::Load(d, lanes);
}
template <typename T, class DT>
HWY_INLINE void store(hn::Vec<DT> v, DT d, T* p, Whole) {
  hn::StoreU(v, d, p);
}
template <typename T, class DT>
HWY_INLINE void store(hn::Vec<DT> v, DT d, T* p, Part part) {
  HWY_ALIGN T lanes[kLanes];
  hn::Store(v, d, lanes);
  for (int64_t i = 0; i < part.count; ++i) p[i] = lanes[i];
}
HWY_INLINE V load(const float* p, Whole size) { return load(D(), p, size); }
HWY_INLINE V load(const float* p, Part size) { return load(D(), p, size); }
HWY_INLINE V load_or(const float* p, Whole size, float) { return load(D(), p, size); }
HWY_INLINE V load_or(const float* p, Part size, float fill) { return load(D(), p, size, fill); }
HWY_INLINE void store(V v, float* p, Whole size) { store(v, D(), p, size); }
HWY_INLINE void store(V v, float* p, Part size) { store(v, D(), p, size); }

// body(i, size) for every vector of n elements.
template <typename Body>
HWY_INLINE void for_vectors(int64_t n, const Body& body) {
  int64_t i = 0;
  for (; i + kLanes <= n; i += kLanes) body(i, Whole{});
  if (i < n) body(i, Part{n - i});
}

// Folds acc = body(acc, i, size) over n elements in four chains, which hide latency, joined by `join`.
template <typename Body, typename Join>
HWY_INLINE V fold(int64_t n, V start, const Body& body, const Join& join) {
  V a0 = start;
  V a1 = start;
  V a2 = start;
  V a3 = start;
  int64_t i = 0;
  for (; i + 4 * kLanes <= n; i += 4 * kLanes) {
    a0 = body(a0, i, Whole{});
    a1 = body(a1, i + kLanes, Whole{});
    a2 = body(a2, i + 2 * kLanes, Whole{});
    a3 = body(a3, i + 3 * kLanes, Whole{});
  }
  for (; i + kLanes <= n; i += kLanes) a0 = body(a0, i, Whole{});
  if (i < n) a1 = body(a1, i, Part{n - i});
  return join(join(a0, a1), join(a2, a3));
}

template <typename Body>
HWY_INLINE float fold_sum(int64_t n, const Body& body) {
  const D d;
  const V sum = fold(n, hn::Zero(d), body, [](V a, V b) HADAL_BODY { return hn::Add(a, b); });
  return hn::GetLane(hn::SumOfLanes(d, sum));
}

// e^x within 2 ulp for every float: 0 below -104, infinity above 88.7, NaN stays NaN. Cody and Waite's
// reduction x = n ln 2 + r, |r| <= ln 2 / 2, and Cephes' polynomial for e^r.
HWY_INLINE V exp(V x) {
  const D d;
  const hn::RebindToSigned<D> di;
  x = hn::IfThenElse(hn::Lt(x, hn::Set(d, -104.0f)), hn::Set(d, -104.0f), x);
  x = hn::IfThenElse(hn::Gt(x, hn::Set(d, 89.0f)), hn::Set(d, 89.0f), x);
  const auto n = hn::NearestInt(hn::Mul(x, hn::Set(d, 1.44269504088896341f)));
  const V nf = hn::ConvertTo(d, n);
  V r = hn::NegMulAdd(nf, hn::Set(d, 0.693359375f), x);
  r = hn::NegMulAdd(nf, hn::Set(d, -2.12194440e-4f), r);
  V p = hn::Set(d, 1.9875691500e-4f);
  p = hn::MulAdd(p, r, hn::Set(d, 1.3981999507e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 8.3334519073e-3f));
  p = hn::MulAdd(p, r, hn::Set(d, 4.1665795894e-2f));
  p = hn::MulAdd(p, r, hn::Set(d, 1.6666665459e-1f));
  p = hn::MulAdd(p, r, hn::Set(d, 5.0000001201e-1f));
  p = hn::Add(hn::MulAdd(p, hn::Mul(r, r), r), hn::Set(d, 1.0f));
  // 2^n in two steps: n reaches from the denormals to infinity, one exponent field does not.
  const auto half = hn::ShiftRight<1>(n);
  const auto bias = hn::Set(di, 127);
  const V scale1 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(half, bias)));
  const V scale2 = hn::BitCast(d, hn::ShiftLeft<23>(hn::Add(hn::Sub(n, half), bias)));
  return hn::Mul(hn::Mul(p, scale1), scale2);
}

// 1 / (1 + e^-x), from e^-|x|, which cannot overflow.
HWY_INLINE V sigmoid(V x) {
  const D d;
  const V one = hn::Set(d, 1.0f);
  const V e = exp(hn::Neg(hn::Abs(x)));
  const V numerator = hn::IfThenElse(hn::Lt(x, hn::Zero(d)), e, one);
  return hn::Div(numerator, hn::Add(one, e));
}

}  // namespace
}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#endif  // per-target include guard
