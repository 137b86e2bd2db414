#include "engine/score.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "engine/sampler.h"
#include "engine/session.h"
#include "kernels/rowwise.h"

namespace hadal::engine {

namespace {
// Positions whose logits exist at one time: bounds them to kRows * vocab_size numbers.
constexpr size_t kRows = 256;
}  // namespace

std::vector<float> score_tokens(const GenerationContext& context, std::span<const text::TokenId> tokens) {
  const int64_t vocab = context.model->config().vocab_size;
  const auto inputs = tokens.first(tokens.size() - 1);
  Session session(context.model, static_cast<int64_t>(inputs.size()), context.precision, context.kv_type,
                  *context.pool);
  tensor::Buffer logits(static_cast<int64_t>(std::min(kRows, inputs.size())) * vocab);  // [kRows, vocab]
  std::vector<float> losses(inputs.size());
  for (size_t begin = 0; begin < inputs.size(); begin += kRows) {
    const auto part = inputs.subspan(begin, std::min(kRows, inputs.size() - begin));
    const auto rows = logits.view(static_cast<int64_t>(part.size()), vocab);
    session.append_all(part, rows);
    base::parallel_for(*context.pool, rows.rows, 8, [&](int64_t first, int64_t last) {
      for (int64_t i = first; i < last; ++i) {
        const size_t at = begin + static_cast<size_t>(i);
        losses[at] = kernels::cross_entropy(rows.row(i), vocab, tokens[at + 1], 0, nullptr);
        if (!std::isfinite(losses[at])) {
          throw_error(ErrorCode::kBadInput, "[engine] the logits at token {} are not finite numbers: {}", at,
                      kDamaged);
        }
      }
    });
  }
  return losses;
}

}  // namespace hadal::engine
