// Vector loops over one row or one flat array (Highway, dispatched at run time). No checks, no allocation.
// Sums are taken in a fixed order that depends on n alone: the same machine gives the same bits.
#pragma once

#include <cstdint>

namespace hadal::kernels {

float dot(const float* x, const float* y, int64_t n);
double sum_squares(const float* x, int64_t n);
void add(const float* x, float* y, int64_t n);            // y += x
void axpy(float a, const float* x, float* y, int64_t n);  // y += a x
void scale(float a, float* x, int64_t n);                 // x *= a

// y = x / rms(x) * weight, rms = sqrt(mean(x^2) + eps). Returns 1 / rms for the backward pass.
float rms_norm(const float* x, const float* weight, float eps, float* y, int64_t n);
// dx += d(rms_norm)/dx * dy; dweight += dy * x * inv_rms.
void rms_norm_backward(const float* x, const float* weight, float inv_rms, const float* dy, float* dx,
                       float* dweight, int64_t n);

// In place: x = exp(x - max) / sum. Returns log(sum(exp(x))) of the input.
float softmax(float* x, int64_t n);
// dx = y * (dy - dot(y, dy)), y the softmax output; dx may be dy.
void softmax_backward(const float* y, const float* dy, float* dx, int64_t n);

// One row of attention backward: s holds raw scores and becomes p = exp(scale * s - lse); dp becomes
// ds = p * (dp - delta) * scale.
void attention_probabilities_backward(float* s, float* dp, float scale, float lse, float delta, int64_t n);

void sigmoid(const float* x, float* y, int64_t n);
// y = silu(gate) * up (SwiGLU, DeepSeek: w2(silu(w1 x) * w3 x)).
void swiglu(const float* gate, const float* up, float* y, int64_t n);
// dgate, dup = gradients; may overwrite gate and up in place.
void swiglu_backward(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
                     int64_t n);

// Cross-entropy in nats of one row of logits. When dlogits is not null it receives scale * (softmax -
// onehot); it may be `logits` itself.
float cross_entropy(const float* logits, int64_t n, int64_t target, float scale, float* dlogits);

// One AdamW update (Loshchilov and Hutter 2019) of n parameters: g = grad * grad_scale;
// m = beta1 m + (1-beta1) g; v = beta2 v + (1-beta2) g^2; w -= lr * (m/bias1 / (sqrt(v/bias2) + eps) + decay
// w).
struct AdamW {
  float lr, beta1, beta2, eps, decay;  // decay: 0 for norms and biases
  float bias1, bias2;                  // 1 - beta^step
  float grad_scale;                    // clipping
};
void adamw(const AdamW& c, float* w, const float* grad, float* m, float* v, int64_t n);
// The same with BF16 moments (round to nearest even), as DeepSeek-V3 keeps them.
void adamw_bf16(const AdamW& c, float* w, const float* grad, uint16_t* m, uint16_t* v, int64_t n);

}  // namespace hadal::kernels
