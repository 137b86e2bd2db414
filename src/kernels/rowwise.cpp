#include "kernels/rowwise.h"

#include <algorithm>
#include <cmath>

#include "tensor/dtype.h"

namespace hadal::kernels {

float dot(const float* x, const float* y, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] * y[i];
  return sum;
}

double sum_squares(const float* x, int64_t n) {
  double sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += static_cast<double>(x[i]) * x[i];
  return sum;
}

void add(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += x[i];
}

void axpy(float a, const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] += a * x[i];
}

void scale(float a, float* x, int64_t n) {
  for (int64_t i = 0; i < n; ++i) x[i] *= a;
}

float rms_norm(const float* x, const float* weight, float eps, float* y, int64_t n) {
  const float inv_rms = 1.0f / std::sqrt(dot(x, x, n) / static_cast<float>(n) + eps);
  for (int64_t i = 0; i < n; ++i) y[i] = x[i] * inv_rms * weight[i];
  return inv_rms;
}

void rms_norm_backward(const float* x, const float* weight, float inv_rms, const float* dy, float* dx,
                       float* dweight, int64_t n) {
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += dy[i] * weight[i] * x[i];
  const float c = sum * inv_rms * inv_rms * inv_rms / static_cast<float>(n);
  for (int64_t i = 0; i < n; ++i) {
    dweight[i] += dy[i] * x[i] * inv_rms;
    dx[i] += dy[i] * weight[i] * inv_rms - x[i] * c;
  }
}

float softmax(float* x, int64_t n) {
  const float max = *std::max_element(x, x + n);
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += x[i] = std::exp(x[i] - max);
  scale(1.0f / sum, x, n);
  return max + std::log(sum);
}

void softmax_backward(const float* y, const float* dy, float* dx, int64_t n) {
  const float sum = dot(y, dy, n);
  for (int64_t i = 0; i < n; ++i) dx[i] = y[i] * (dy[i] - sum);
}

void attention_probabilities_backward(float* s, float* dp, float scale, float lse, float delta, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    s[i] = std::exp(scale * s[i] - lse);
    dp[i] = s[i] * (dp[i] - delta) * scale;
  }
}

void sigmoid(const float* x, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = 1.0f / (1.0f + std::exp(-x[i]));
}

void swiglu(const float* gate, const float* up, float* y, int64_t n) {
  for (int64_t i = 0; i < n; ++i) y[i] = gate[i] / (1.0f + std::exp(-gate[i])) * up[i];
}

void swiglu_backward(const float* gate, const float* up, const float* dy, float* dgate, float* dup,
                     int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    const float g = gate[i];
    const float u = up[i];
    const float s = 1.0f / (1.0f + std::exp(-g));
    dgate[i] = dy[i] * u * (s + g * s * (1.0f - s));
    dup[i] = dy[i] * g * s;
  }
}

float cross_entropy(const float* logits, int64_t n, int64_t target, float scale, float* dlogits) {
  const float max = *std::max_element(logits, logits + n);
  const float target_logit = logits[target];
  float sum = 0;
  for (int64_t i = 0; i < n; ++i) sum += std::exp(logits[i] - max);
  if (dlogits) {
    for (int64_t i = 0; i < n; ++i) dlogits[i] = std::exp(logits[i] - max) * (scale / sum);
    dlogits[target] -= scale;
  }
  return max + std::log(sum) - target_logit;
}

namespace {
float adamw_step(const AdamW& c, float w, float grad, float& m, float& v) {
  const float g = grad * c.grad_scale;
  m = c.beta1 * m + (1.0f - c.beta1) * g;
  v = c.beta2 * v + (1.0f - c.beta2) * g * g;
  return w - c.lr * (m / c.bias1 / (std::sqrt(v / c.bias2) + c.eps) + c.decay * w);
}
}  // namespace

void adamw(const AdamW& c, float* w, const float* grad, float* m, float* v, int64_t n) {
  for (int64_t i = 0; i < n; ++i) w[i] = adamw_step(c, w[i], grad[i], m[i], v[i]);
}

void adamw_bf16(const AdamW& c, float* w, const float* grad, uint16_t* m, uint16_t* v, int64_t n) {
  for (int64_t i = 0; i < n; ++i) {
    float m32 = tensor::bf16_to_float(m[i]);
    float v32 = tensor::bf16_to_float(v[i]);
    w[i] = adamw_step(c, w[i], grad[i], m32, v32);
    m[i] = tensor::float_to_bf16(m32);
    v[i] = tensor::float_to_bf16(v32);
  }
}

}  // namespace hadal::kernels
