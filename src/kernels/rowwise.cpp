#include "kernels/rowwise.h"

#include <cmath>
#include <limits>

#include "kernels/simd.h"
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/rowwise.cpp"
#include "hwy/foreach_target.h"
#include "kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {

namespace {

float max_of(const float* x, int64_t n) {
  const D d;
  const float lowest = -std::numeric_limits<float>::infinity();
  const V max = fold(
      n, hn::Set(d, lowest),
      [&](V acc, int64_t i, auto size) HADAL_BODY { return hn::Max(acc, load_or(x + i, size, lowest)); },
      [](V a, V b) HADAL_BODY { return hn::Max(a, b); });
  return hn::GetLane(hn::MaxOfLanes(d, max));
}

// Sum of exp(x - max); the terms go to y too unless it is null.
float sum_exp(const float* x, float max, float* y, int64_t n) {
  const V shift = hn::Set(D(), max);
  const float lowest = -std::numeric_limits<float>::infinity();
  return fold_sum(n, [&](V acc, int64_t i, auto size) HADAL_BODY {
    const V e = exp(hn::Sub(load_or(x + i, size, lowest), shift));
    if (y != nullptr) store(e, y + i, size);
    return hn::Add(acc, e);
  });
}

}  // namespace

float dot(const float* x, const float* y, int64_t n) {
  return fold_sum(n, [&](V acc, int64_t i, auto size)
                         HADAL_BODY { return hn::MulAdd(load(x + i, size), load(y + i, size), acc); });
}

double sum_squares(const float* x, int64_t n) {
  const hn::ScalableTag<double> d;
  const hn::Rebind<float, decltype(d)> narrow;
  constexpr int64_t kDoubles = HWY_LANES(double);
  auto a0 = hn::Zero(d);
  auto a1 = hn::Zero(d);
  int64_t i = 0;
  for (; i + 2 * kDoubles <= n; i += 2 * kDoubles) {
    const auto x0 = hn::PromoteTo(d, hn::LoadU(narrow, x + i));
    const auto x1 = hn::PromoteTo(d, hn::LoadU(narrow, x + i + kDoubles));
    a0 = hn::MulAdd(x0, x0, a0);
    a1 = hn::MulAdd(x1, x1, a1);
  }
  double sum = hn::GetLane(hn::SumOfLanes(d, hn::Add(a0, a1)));
  for (; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

void add(const float* x, float* y, int64_t n) {
  for_vectors(n, [&](int64_t i, auto size)
                     HADAL_BODY { store(hn::Add(load(y + i, size), load(x + i, size)), y + i, size); });
}

void axpy(float a, const float* x, float* y, int64_t n) {
  const V factor = hn::Set(D(), a);
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    store(hn::MulAdd(factor, load(x + i, size), load(y + i, size)), y + i, size);
  });
}

void scale(float a, float* x, int64_t n) {
  const V factor = hn::Set(D(), a);
  for_vectors(
      n, [&](int64_t i, auto size) HADAL_BODY { store(hn::Mul(factor, load(x + i, size)), x + i, size); });
}

float rms_norm(const float* x, const float* weight, float eps, float* y, int64_t n) {
  const float mean = dot(x, x, n) / static_cast<float>(n);
  const float inv_rms = 1.0f / std::sqrt(mean + eps);
  const V factor = hn::Set(D(), inv_rms);
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    store(hn::Mul(hn::Mul(load(x + i, size), factor), load(weight + i, size)), y + i, size);
  });
  return inv_rms;
}

void rms_norm_backward(const float* x, const float* weight, float inv_rms, const float* dy, float* dx,
                       float* dweight, int64_t n) {
  const float sum = fold_sum(n, [&](V acc, int64_t i, auto size) HADAL_BODY {
    return hn::MulAdd(hn::Mul(load(dy + i, size), load(weight + i, size)), load(x + i, size), acc);
  });
  const V factor = hn::Set(D(), inv_rms);
  const V along = hn::Set(D(), sum * inv_rms * inv_rms * inv_rms / static_cast<float>(n));
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    const V x_i = load(x + i, size);
    const V dy_i = hn::Mul(load(dy + i, size), factor);
    store(hn::MulAdd(dy_i, x_i, load(dweight + i, size)), dweight + i, size);
    const V direct = hn::MulAdd(dy_i, load(weight + i, size), load(dx + i, size));
    store(hn::NegMulAdd(x_i, along, direct), dx + i, size);
  });
}

float softmax(float* x, int64_t n) {
  const float max = max_of(x, n);
  const float sum = sum_exp(x, max, x, n);
  scale(1.0f / sum, x, n);
  return max + std::log(sum);
}

void softmax_backward(const float* y, const float* dy, float* dx, int64_t n) {
  const V sum = hn::Set(D(), dot(y, dy, n));
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    store(hn::Mul(load(y + i, size), hn::Sub(load(dy + i, size), sum)), dx + i, size);
  });
}

void attention_probabilities_backward(float* s, float* dp, float scale, float lse, float delta, int64_t n) {
  const V factor = hn::Set(D(), scale);
  const V shift = hn::Set(D(), lse);
  const V mean = hn::Set(D(), delta);
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    const V p = exp(hn::MulSub(factor, load(s + i, size), shift));
    store(p, s + i, size);
    store(hn::Mul(hn::Mul(p, hn::Sub(load(dp + i, size), mean)), factor), dp + i, size);
  });
}

void sigmoid_all(const float* x, float* y, int64_t n) {
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY { store(sigmoid(load(x + i, size)), y + i, size); });
}

void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    const V g = load(gate + i, size);
    store(hn::Mul(hn::Mul(g, sigmoid(g)), load(up + i, size)), y + i, size);
  });
}

void swiglu_backward(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
                     int64_t n) {
  const V one = hn::Set(D(), 1.0f);
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    const V g = load(gate + i, size);
    const V u = load(up + i, size);
    const V dy_i = load(dy + i, size);
    const V s = sigmoid(g);
    const V silu = hn::Mul(g, s);
    const V slope = hn::MulAdd(silu, hn::Sub(one, s), s);  // d silu / d g = s + g s (1 - s)
    store(hn::Mul(hn::Mul(dy_i, u), slope), dgate + i, size);
    store(hn::Mul(dy_i, silu), dup + i, size);
  });
}

float cross_entropy(const float* logits, int64_t n, int64_t target, float factor, float* dlogits) {
  const float max = max_of(logits, n);
  const float target_logit = logits[target];  // dlogits may overwrite it
  const float sum = sum_exp(logits, max, dlogits, n);
  if (dlogits != nullptr) {
    scale(factor / sum, dlogits, n);
    dlogits[target] -= factor;
  }
  return max + std::log(sum) - target_logit;
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {

HWY_EXPORT(dot);
HWY_EXPORT(sum_squares);
HWY_EXPORT(add);
HWY_EXPORT(axpy);
HWY_EXPORT(scale);
HWY_EXPORT(rms_norm);
HWY_EXPORT(rms_norm_backward);
HWY_EXPORT(softmax);
HWY_EXPORT(softmax_backward);
HWY_EXPORT(attention_probabilities_backward);
HWY_EXPORT(sigmoid_all);
HWY_EXPORT(swiglu);
HWY_EXPORT(swiglu_backward);
HWY_EXPORT(cross_entropy);

namespace {
[[maybe_unused]] const bool kSimdChosen = apply_simd_environment();
}  // namespace

float dot(const float* x, const float* y, int64_t n) { return HWY_DYNAMIC_DISPATCH(dot)(x, y, n); }
double sum_squares(const float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(sum_squares)(x, n); }
void add(const float* x, float* y, int64_t n) { HWY_DYNAMIC_DISPATCH(add)(x, y, n); }
void axpy(float a, const float* x, float* y, int64_t n) { HWY_DYNAMIC_DISPATCH(axpy)(a, x, y, n); }
void scale(float a, float* x, int64_t n) { HWY_DYNAMIC_DISPATCH(scale)(a, x, n); }
float rms_norm(const float* x, const float* weight, float eps, float* y, int64_t n) {
  return HWY_DYNAMIC_DISPATCH(rms_norm)(x, weight, eps, y, n);
}
void rms_norm_backward(const float* x, const float* weight, float inv_rms, const float* dy, float* dx,
                       float* dweight, int64_t n) {
  HWY_DYNAMIC_DISPATCH(rms_norm_backward)(x, weight, inv_rms, dy, dx, dweight, n);
}
float softmax(float* x, int64_t n) { return HWY_DYNAMIC_DISPATCH(softmax)(x, n); }
void softmax_backward(const float* y, const float* dy, float* dx, int64_t n) {
  HWY_DYNAMIC_DISPATCH(softmax_backward)(y, dy, dx, n);
}
void attention_probabilities_backward(float* s, float* dp, float scale, float lse, float delta, int64_t n) {
  HWY_DYNAMIC_DISPATCH(attention_probabilities_backward)(s, dp, scale, lse, delta, n);
}
void sigmoid(const float* x, float* y, int64_t n) { HWY_DYNAMIC_DISPATCH(sigmoid_all)(x, y, n); }
void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  HWY_DYNAMIC_DISPATCH(swiglu)(gate, up, y, n);
}
void swiglu_backward(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
                     int64_t n) {
  HWY_DYNAMIC_DISPATCH(swiglu_backward)(gate, up, dy, dgate, dup, n);
}
float cross_entropy(const float* logits, int64_t n, int64_t target, float scale, float* dlogits) {
  return HWY_DYNAMIC_DISPATCH(cross_entropy)(logits, n, target, scale, dlogits);
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
