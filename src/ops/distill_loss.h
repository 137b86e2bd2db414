// Divergence of a student's distribution over the whole vocabulary from a teacher's, row by row, and its
// gradient with respect to the student's logits. With p the teacher's softmax and q the student's:
//   forward  KL(p || q) = sum_v p_v (ln p_v - ln q_v),  d/dz = q - p
//     (Hinton et al. 2015 at temperature 1: the student covers what the teacher does)
//   reverse  KL(q || p) = sum_v q_v (ln q_v - ln p_v),  d/dz_v = q_v (ln q_v - ln p_v - KL)
//     (MiniLLM, arXiv 2306.08543; on the student's own samples it is on-policy distillation, Agarwal et al.,
//     arXiv 2306.13649: the samples count as given)
#pragma once

#include <span>

#include "base/thread_pool.h"
#include "tensor/tensor.h"

namespace hadal::ops {

enum class Divergence { kForward, kReverse };

// student [rows, vocab] logits become weights[row] * d KL / d logits; teacher [rows, vocab]. Returns the sum
// of weights[row] * KL(row), and adds the plain KLs to *sum when that is not null.
double distill_loss(Divergence kind, tensor::Matrix student, tensor::ConstMatrix teacher,
                    std::span<const float> weights, double* sum, base::ThreadPool& pool);

}  // namespace hadal::ops
