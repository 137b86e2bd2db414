#include "ops/distill_loss.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "base/error.h"

namespace hadal::ops {

namespace {

// ln sum exp x.
double log_sum_exp(const float* x, int64_t n) {
  const float best = *std::max_element(x, x + n);
  double total = 0;
  for (int64_t v = 0; v < n; ++v) total += std::exp(static_cast<double>(x[v]) - best);
  return best + std::log(total);
}

double row_loss(Divergence kind, float* student, const float* teacher, int64_t n, float weight) {
  const double of_student = log_sum_exp(student, n), of_teacher = log_sum_exp(teacher, n);
  const auto ln_q = [&](int64_t v) { return student[v] - of_student; };
  const auto ln_p = [&](int64_t v) { return teacher[v] - of_teacher; };
  double loss = 0;
  if (kind == Divergence::kForward) {
    for (int64_t v = 0; v < n; ++v) {
      const double p = std::exp(ln_p(v));
      loss += p * (ln_p(v) - ln_q(v));
      student[v] = static_cast<float>(weight * (std::exp(ln_q(v)) - p));
    }
    return loss;
  }
  for (int64_t v = 0; v < n; ++v) loss += std::exp(ln_q(v)) * (ln_q(v) - ln_p(v));
  for (int64_t v = 0; v < n; ++v)
    student[v] = static_cast<float>(weight * std::exp(ln_q(v)) * (ln_q(v) - ln_p(v) - loss));
  return loss;
}

}  // namespace

double distill_loss(Divergence kind, tensor::Matrix student, tensor::ConstMatrix teacher,
                    std::span<const float> weights, double* sum, base::ThreadPool& pool) {
  HADAL_CHECK(student.rows == teacher.rows && student.cols == teacher.cols);
  HADAL_CHECK(static_cast<int64_t>(weights.size()) == student.rows);
  std::vector<double> losses(weights.size());
  base::parallel_for(pool, student.rows, 8, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const auto i = static_cast<size_t>(r);
      losses[i] = row_loss(kind, student.row(r), teacher.row(r), student.cols, weights[i]);
    }
  });
  double weighted = 0;
  for (size_t i = 0; i < losses.size(); ++i) {
    weighted += static_cast<double>(weights[i]) * losses[i];
    if (sum != nullptr) *sum += losses[i];
  }
  return weighted;
}

}  // namespace hadal::ops
