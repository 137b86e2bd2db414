// Models so small that all their gradients can be checked by differences.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/random.h"
#include "model/transformer.h"

namespace hadal::test {

// V3's layers: a dense one, one of experts, and an MTP module.
inline model::ModelConfig tiny_deepseek() {
  model::ModelConfig c;
  c.architecture = "DeepseekV3ForCausalLM";
  c.model_type = "deepseek_v3";
  c.vocab_size = 40;
  c.hidden_size = 16;
  c.intermediate_size = 24;
  c.moe_intermediate_size = 8;
  c.num_hidden_layers = 2;
  c.first_k_dense_replace = 1;
  c.num_attention_heads = 2;
  c.n_routed_experts = 6;
  c.n_shared_experts = 1;
  c.num_experts_per_tok = 2;
  c.topk_method = model::TopkMethod::kNoauxTc;
  c.scoring_func = model::ScoringFunc::kSigmoid;
  c.norm_topk_prob = true;
  c.routed_scaling_factor = 1.5;
  c.q_lora_rank = 12;
  c.kv_lora_rank = 8;
  c.qk_nope_head_dim = 6;
  c.qk_rope_head_dim = 4;
  c.v_head_dim = 6;
  c.num_nextn_predict_layers = 1;
  return c;
}

// Every part that a dense family has: q/k norms, all biases, tied embeddings, heads that share K and V.
inline model::ModelConfig tiny_qwen3() {
  model::ModelConfig c;
  c.architecture = "Qwen3ForCausalLM";
  c.model_type = "qwen3";
  c.attention = model::AttentionKind::kGqa;
  c.vocab_size = 40;
  c.hidden_size = 16;
  c.intermediate_size = 24;
  c.num_hidden_layers = 2;
  c.num_attention_heads = 4;
  c.num_key_value_heads = 2;
  c.head_dim = 6;
  c.qkv_bias = c.o_bias = c.qk_norm = true;
  c.rope_interleave = false;
  c.tie_word_embeddings = true;
  return c;
}

inline std::vector<int32_t> tokens_below(int32_t vocab, int64_t n) {
  base::Random random(5);
  std::vector<int32_t> tokens(static_cast<size_t>(n));
  for (auto& t : tokens) t = static_cast<int32_t>(random.below(static_cast<uint64_t>(vocab)));
  return tokens;
}

inline model::TokenBatch batch_of(const std::vector<int32_t>& tokens, int64_t rows) {
  model::TokenBatch batch;
  batch.rows = rows;
  batch.length = static_cast<int64_t>(tokens.size()) / rows - 1;
  batch.tokens = tokens;
  return batch;
}

// grad of some elements of every trainable parameter against central differences of loss().
template <typename Loss>
void expect_gradients(std::vector<model::Parameter>& parameters, Loss&& loss) {
  constexpr float kStep = 2e-3f;
  for (auto& p : parameters) {
    if (!p.trainable) continue;
    double largest = 0;
    for (int64_t i = 0; i < p.size(); ++i)
      largest = std::max(largest, std::fabs(static_cast<double>(p.grad[i])));
    // An expert that no token chose has none.
    const bool may_be_idle = p.name.find(".experts.") != std::string::npos;
    EXPECT_TRUE(largest > 0 || may_be_idle) << p.name << " has no gradient at all";
    const int64_t stride = std::max<int64_t>(1, p.size() / 7);
    for (int64_t i = 0; i < p.size(); i += stride) {
      const float kept = p.value[i];
      p.value[i] = kept + kStep;
      const double up = loss();
      p.value[i] = kept - kStep;
      const double down = loss();
      p.value[i] = kept;
      EXPECT_NEAR((up - down) / (2 * static_cast<double>(kStep)), p.grad[i], 2e-2 * largest + 2e-4)
          << p.name << " element " << i;
    }
  }
}

}  // namespace hadal::test
