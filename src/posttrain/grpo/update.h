// One optimizer step of GRPO: forward, loss, backward over packed answers. Apart from the trainer so that it
// can be tested alone.
#pragma once

#include <optional>
#include <span>
#include <vector>

#include "model/transformer.h"
#include "ops/policy_loss.h"
#include "posttrain/grpo/packed_answers.h"
#include "posttrain/grpo/reference.h"

namespace hadal::posttrain {

// A minibatch: answers with what each of their tokens is worth. Those without an advantage are left out.
struct UpdateBatch {
  std::vector<Trajectory> trajectories;
  std::vector<double> advantages;  // [trajectories]
  std::vector<double> weights;     // [trajectories], of each token
};

struct UpdateOptions {
  ops::PolicyLossOptions loss;
  int64_t row_tokens = 0;
  int64_t micro_tokens = 8192;
};

struct UpdateResult {
  ops::PolicyLossResult loss;
  int64_t rows_tokens = 0;   // places of the rows, padding included
  int64_t model_tokens = 0;  // prompts and answers
  double diff_sum = 0;       // of |trainer's - sampler's| log-probabilities
  double diff_max = 0;
  double entropy_sum = 0;  // of the policy at each token of the answers, in nats
  double reference_seconds = 0;
};

// Adds the gradient of the batch's loss to the model's gradients. reference: null when kl is 0.
UpdateResult add_policy_gradient(model::Transformer& model, Reference* reference, const UpdateBatch& batch,
                                 const UpdateOptions& options, base::ThreadPool& pool);

}  // namespace hadal::posttrain
