#include "ops/distill_loss.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "base/random.h"

namespace hadal::ops {
namespace {

constexpr int64_t kRows = 5, kVocab = 11;

std::vector<float> logits(uint64_t seed) {
  base::Random random(seed);
  std::vector<float> out(kRows * kVocab);
  for (float& x : out) x = static_cast<float>(2 * random.normal());
  return out;
}

double loss_of(Divergence kind, std::vector<float> student, const std::vector<float>& weights,
               std::vector<float>* gradient = nullptr) {
  base::ThreadPool pool(1);
  std::vector<float> teacher = logits(2);
  const double loss = distill_loss(kind, tensor::matrix(student.data(), kRows, kVocab),
                                   tensor::matrix(teacher.data(), kRows, kVocab), weights, nullptr, pool);
  if (gradient != nullptr) *gradient = student;
  return loss;
}

TEST(DistillLoss, GradientMatchesFiniteDifferences) {
  const std::vector<float> weights = {1, 0.5f, 0, 2, 0.1f};
  for (const Divergence kind : {Divergence::kForward, Divergence::kReverse}) {
    std::vector<float> student = logits(1), gradient;
    loss_of(kind, student, weights, &gradient);
    for (size_t i = 0; i < student.size(); ++i) {
      const float kept = student[i];
      constexpr float kStep = 1.0f / 256;
      student[i] = kept + kStep;
      const double above = loss_of(kind, student, weights);
      student[i] = kept - kStep;
      const double below = loss_of(kind, student, weights);
      student[i] = kept;
      EXPECT_NEAR(gradient[i], (above - below) / (2 * kStep), 2e-4) << i;
    }
  }
}

TEST(DistillLoss, IsZeroBetweenEqualsAndPositiveElse) {
  const std::vector<float> weights(kRows, 1.0f);
  for (const Divergence kind : {Divergence::kForward, Divergence::kReverse}) {
    std::vector<float> same = logits(2);
    for (float& x : same) x += 3;  // the same distribution
    EXPECT_NEAR(loss_of(kind, same, weights), 0, 1e-5);
    EXPECT_GT(loss_of(kind, logits(1), weights), 0.1);
  }
}

}  // namespace
}  // namespace hadal::ops
