// Log-probabilities of chosen tokens, and their gradient: what losses on sampled tokens are made of.
#pragma once

#include <cstdint>
#include <span>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

// logprobs[i] = ln softmax(logits[i])[targets[i]]; 0 where targets[i] is -1. entropies, when not null: of
// each row's distribution, in nats (rows without a target: 0).
void token_logprobs(tensor::ConstMatrix logits, std::span<const int32_t> targets, float* logprobs,
                    float* entropies, base::ThreadPool& pool);

// logits become d(sum_i d_logprobs[i] * logprobs[i]) / dlogits.
void token_logprobs_backward(tensor::Matrix logits, std::span<const int32_t> targets,
                             std::span<const float> d_logprobs, base::ThreadPool& pool);

}  // namespace hadal::ops
