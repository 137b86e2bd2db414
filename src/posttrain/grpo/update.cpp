#include "posttrain/grpo/update.h"

#include <algorithm>
#include <cmath>

#include "base/clock.h"
#include "base/error.h"

namespace hadal::posttrain {

namespace {

// The answers' tokens of one packed batch, behind one another.
struct Flat {
  std::vector<float> logprobs, old, reference, advantages, weights, gradient;
};

Flat flatten(const PackedAnswers& packed, const UpdateBatch& batch, std::span<const float> logprobs,
             std::span<const float> reference) {
  Flat flat;
  for (size_t i = 0; i < packed.trajectories.size(); ++i) {
    const size_t which = packed.trajectories[i];
    const Answer& answer = *batch.trajectories[which].answer;
    HADAL_CHECK(answer.logprobs.size() == answer.tokens.size());
    const auto first = static_cast<size_t>(packed.first[i]);
    const size_t count = answer.tokens.size();
    const auto append = [&](std::vector<float>& to, std::span<const float> from) {
      to.insert(to.end(), from.begin(), from.end());
    };
    append(flat.logprobs, logprobs.subspan(first, count));
    append(flat.old, answer.logprobs);
    if (!reference.empty()) append(flat.reference, reference.subspan(first, count));
    flat.advantages.insert(flat.advantages.end(), count, static_cast<float>(batch.advantages[which]));
    flat.weights.insert(flat.weights.end(), count, static_cast<float>(batch.weights[which]));
  }
  flat.gradient.resize(flat.logprobs.size());
  return flat;
}

// The gradient of every place of the batch: zero but at the answers' tokens.
std::vector<float> spread(const PackedAnswers& packed, const UpdateBatch& batch,
                          std::span<const float> gradient, size_t places) {
  std::vector<float> out(places, 0.0f);
  size_t at = 0;
  for (size_t i = 0; i < packed.trajectories.size(); ++i) {
    const size_t count = batch.trajectories[packed.trajectories[i]].answer->tokens.size();
    std::copy_n(gradient.begin() + static_cast<std::ptrdiff_t>(at), count,
                out.begin() + static_cast<std::ptrdiff_t>(packed.first[i]));
    at += count;
  }
  return out;
}

void add(const ops::PolicyLossResult& part, ops::PolicyLossResult& total) {
  total.loss += part.loss;
  total.kl += part.kl;
  total.max_ratio = std::max(total.max_ratio, part.max_ratio);
  total.clipped_low += part.clipped_low;
  total.clipped_high += part.clipped_high;
  total.tokens += part.tokens;
}

}  // namespace

UpdateResult add_policy_gradient(model::Transformer& model, Reference* reference, const UpdateBatch& batch,
                                 const UpdateOptions& options, base::ThreadPool& pool) {
  UpdateResult result;
  std::vector<float> logprobs, entropies;  // [rows * length] of a packed batch
  for (const PackedAnswers& packed :
       pack_answers(batch.trajectories, options.row_tokens, options.micro_tokens)) {
    const model::TokenBatch view = packed.view();
    std::vector<float> reference_logprobs;
    if (reference != nullptr) {
      const double began = base::monotonic_seconds();
      reference_logprobs = reference->logprobs(view, pool);
      result.reference_seconds += base::monotonic_seconds() - began;
    }
    model.forward(view, pool, logprobs, &entropies);
    for (const float entropy : entropies) result.entropy_sum += entropy;
    Flat flat = flatten(packed, batch, logprobs, reference_logprobs);
    for (size_t i = 0; i < flat.old.size(); ++i) {
      const double difference = std::fabs(static_cast<double>(flat.logprobs[i]) - flat.old[i]);
      result.diff_sum += difference;
      result.diff_max = std::max(result.diff_max, difference);
    }
    add(ops::policy_loss(options.loss,
                         {flat.logprobs, flat.old, flat.reference, flat.advantages, flat.weights},
                         flat.gradient),
        result.loss);
    model.backward(spread(packed, batch, flat.gradient, logprobs.size()), {}, pool);
    result.rows_tokens += view.rows * (view.length + 1);
    for (const size_t i : packed.trajectories) result.model_tokens += batch.trajectories[i].tokens();
  }
  return result;
}

}  // namespace hadal::posttrain
