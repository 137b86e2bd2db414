// The optimizer's update in one pass over memory: every array is read and written once.
#include "kernels/rowwise.h"
#include "kernels/simd.h"
#include "kernels/simd_targets.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "kernels/adamw.cpp"
#include "hwy/foreach_target.h"
#include "kernels/vector_math-inl.h"

HWY_BEFORE_NAMESPACE();
namespace hadal::kernels::HWY_NAMESPACE {

namespace {

using DI = hn::RebindToUnsigned<D>;
using DH = hn::Rebind<uint16_t, D>;

template <typename Size>
HWY_INLINE V load_moment(const float* p, Size size) {
  return load(p, size);
}
template <typename Size>
HWY_INLINE void store_moment(V v, float* p, Size size) {
  store(v, p, size);
}
template <typename Size>
HWY_INLINE V load_moment(const uint16_t* p, Size size) {
  return hn::BitCast(D(), hn::ShiftLeft<16>(hn::PromoteTo(DI(), load(DH(), p, size))));
}
// BF16, round to nearest even; NaN stays NaN.
template <typename Size>
HWY_INLINE void store_moment(V v, uint16_t* p, Size size) {
  const DI du;
  const auto bits = hn::BitCast(du, v);
  const auto odd = hn::And(hn::ShiftRight<16>(bits), hn::Set(du, 1u));
  const auto rounded = hn::Add(bits, hn::Add(odd, hn::Set(du, 0x7FFFu)));
  const auto quiet = hn::Or(bits, hn::Set(du, 0x00400000u));
  const auto chosen = hn::IfThenElse(hn::RebindMask(du, hn::IsNaN(v)), quiet, rounded);
  const hn::RebindToSigned<D> di;
  store(hn::DemoteTo(DH(), hn::BitCast(di, hn::ShiftRight<16>(chosen))), DH(), p, size);
}

template <typename Moment>
void update(const AdamW& c, float* w, const float* grad, Moment* m, Moment* v, int64_t n) {
  const D d;
  const V grad_scale = hn::Set(d, c.grad_scale);
  const V beta1 = hn::Set(d, c.beta1);
  const V beta2 = hn::Set(d, c.beta2);
  const V keep1 = hn::Set(d, 1.0f - c.beta1);
  const V keep2 = hn::Set(d, 1.0f - c.beta2);
  const V inv_bias1 = hn::Set(d, 1.0f / c.bias1);
  const V inv_bias2 = hn::Set(d, 1.0f / c.bias2);
  const V eps = hn::Set(d, c.eps);
  const V decay = hn::Set(d, c.decay);
  const V lr = hn::Set(d, c.lr);
  for_vectors(n, [&](int64_t i, auto size) HADAL_BODY {
    const V g = hn::Mul(load(grad + i, size), grad_scale);
    const V m_i = hn::MulAdd(beta1, load_moment(m + i, size), hn::Mul(keep1, g));
    const V v_i = hn::MulAdd(beta2, load_moment(v + i, size), hn::Mul(keep2, hn::Mul(g, g)));
    const V w_i = load(w + i, size);
    const V step = hn::Div(hn::Mul(m_i, inv_bias1), hn::Add(hn::Sqrt(hn::Mul(v_i, inv_bias2)), eps));
    store(hn::NegMulAdd(lr, hn::MulAdd(decay, w_i, step), w_i), w + i, size);
    store_moment(m_i, m + i, size);
    store_moment(v_i, v + i, size);
  });
}

}  // namespace

void adamw_f32(const AdamW& c, float* w, const float* grad, float* m, float* v, int64_t n) {
  update(c, w, grad, m, v, n);
}
void adamw_bf16(const AdamW& c, float* w, const float* grad, uint16_t* m, uint16_t* v, int64_t n) {
  update(c, w, grad, m, v, n);
}

}  // namespace hadal::kernels::HWY_NAMESPACE
HWY_AFTER_NAMESPACE();

#if HWY_ONCE
namespace hadal::kernels {

HWY_EXPORT(adamw_f32);
HWY_EXPORT(adamw_bf16);

namespace {
[[maybe_unused]] const bool kSimdChosen = apply_simd_environment();
}  // namespace

void adamw(const AdamW& c, float* w, const float* grad, float* m, float* v, int64_t n) {
  HWY_DYNAMIC_DISPATCH(adamw_f32)(c, w, grad, m, v, n);
}
void adamw_bf16(const AdamW& c, float* w, const float* grad, uint16_t* m, uint16_t* v, int64_t n) {
  HWY_DYNAMIC_DISPATCH(adamw_bf16)(c, w, grad, m, v, n);
}

}  // namespace hadal::kernels
#endif  // HWY_ONCE
