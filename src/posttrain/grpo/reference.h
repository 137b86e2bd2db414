// The reference policy of a run of GRPO: the weights that KL is measured against. The base at first; every
// `every` steps the policy becomes it. RUN/reference/step-N holds it in FP32, so that a resumed run measures
// against the same bits.
#pragma once

#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/thread_pool.h"
#include "model/transformer.h"

namespace hadal::posttrain {

class Reference {
 public:
  // The base.
  Reference(std::string run, const std::string& base, int64_t every);

  // That of a run which stands at `step`. Throws Error when it is not on the disk.
  void go_to(int64_t step);

  // After step `step`: the policy becomes the reference where it is time. Writes it first.
  void after_step(int64_t step, const model::Transformer& policy);
  // Removes what no checkpoint from `oldest_step` on needs.
  void prune(int64_t oldest_step) const;

  // ln p of every target of the batch, [rows * length].
  std::vector<float> logprobs(const model::TokenBatch& batch, base::ThreadPool& pool);

 private:
  std::string directory(int64_t step) const;
  int64_t since(int64_t step) const;  // the step at which the reference of `step` was taken

  std::string run_;
  int64_t every_;
  std::unique_ptr<model::Transformer> model_;
};

}  // namespace hadal::posttrain
