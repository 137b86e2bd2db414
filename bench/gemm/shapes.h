// The matrix products that a training step, prefill and decode really make, as problems that own their
// memory.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/random.h"
#include "kernels/gemm.h"

namespace hadal::bench {

enum class Layout { kNt, kNn, kTn };

struct Shape {
  const char* name;
  Layout layout;
  int64_t m, n, k;
  // 1: one product. More: a group in one call (experts), whose row counts vary around m (k for weight
  // gradients).
  int64_t group = 1;
};

// `bench train`'s configuration: 2048 tokens, hidden 256, kv_lora 64, 8 heads of 48 and 32, 32 experts of
// 128, vocab 4096. nt: forward; nn: gradient of the input; tn: gradient of the weight.
inline const std::vector<Shape>& training_shapes() {
  static const std::vector<Shape> shapes = {
      {"q_proj forward", Layout::kNt, 2048, 384, 256},
      {"kv_a_proj forward", Layout::kNt, 2048, 80, 256},
      {"kv_b_proj forward", Layout::kNt, 2048, 512, 64},
      {"o_proj forward", Layout::kNt, 2048, 256, 256},
      {"dense gate forward", Layout::kNt, 2048, 704, 256},
      {"dense down forward", Layout::kNt, 2048, 256, 704},
      {"lm_head forward", Layout::kNt, 2048, 4096, 256},
      {"32 experts gate forward", Layout::kNt, 256, 128, 256, 32},
      {"32 experts down forward", Layout::kNt, 256, 256, 128, 32},
      {"q_proj input gradient", Layout::kNn, 2048, 256, 384},
      {"lm_head input gradient", Layout::kNn, 2048, 256, 4096},
      {"32 experts gate input gradient", Layout::kNn, 256, 256, 128, 32},
      {"32 experts down input gradient", Layout::kNn, 256, 128, 256, 32},
      {"q_proj weight gradient", Layout::kTn, 384, 256, 2048},
      {"lm_head weight gradient", Layout::kTn, 4096, 256, 2048},
      {"32 experts gate weight gradient", Layout::kTn, 128, 256, 256, 32},
      {"32 experts down weight gradient", Layout::kTn, 256, 128, 256, 32},
      {"attention scores, 8 heads", Layout::kNt, 256, 256, 48, 8},
      {"attention values, 8 heads", Layout::kNn, 256, 32, 256, 8},
      {"decode, 1 token", Layout::kNt, 1, 4096, 1024},
      {"decode, 4 tokens", Layout::kNt, 4, 4096, 1024},
      {"decode, 16 tokens", Layout::kNt, 16, 4096, 1024},
  };
  return shapes;
}

struct Problems {
  std::vector<std::vector<float>> a, b, c;
  std::vector<kernels::Gemm> gemms;
  double flop = 0;
  bool experts = false;
};

inline Problems make_problems(const Shape& shape) {
  Problems p;
  base::Random random(7);
  p.experts = shape.group == 32;
  for (int64_t i = 0; i < shape.group; ++i) {
    int64_t m = shape.m;
    int64_t k = shape.k;
    // A router's loads: between 20 % and 180 % of the mean, the same ones every time.
    if (p.experts) (shape.layout == Layout::kTn ? k : m) = 51 + (i * 97) % 411;
    p.flop += 2.0 * static_cast<double>(m * shape.n * k);
    p.a.emplace_back(static_cast<size_t>(m * k));
    p.b.emplace_back(static_cast<size_t>(shape.n * k));
    p.c.emplace_back(static_cast<size_t>(m * shape.n), 0.0f);
    for (auto& x : p.a.back()) x = static_cast<float>(random.uniform() - 0.5);
    for (auto& x : p.b.back()) x = static_cast<float>(random.uniform() - 0.5);
    const float* a = p.a.back().data();
    const float* b = p.b.back().data();
    float* c = p.c.back().data();
    switch (shape.layout) {
      case Layout::kNt:
        p.gemms.push_back(kernels::gemm_nt(a, k, b, k, c, shape.n, m, shape.n, k));
        break;
      case Layout::kNn:
        p.gemms.push_back(kernels::gemm_nn(a, k, b, shape.n, c, shape.n, m, shape.n, k));
        break;
      case Layout::kTn:
        p.gemms.push_back(kernels::gemm_tn(a, m, b, shape.n, c, shape.n, m, shape.n, k, true));
        break;
    }
  }
  return p;
}

}  // namespace hadal::bench
