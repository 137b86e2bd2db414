// Chooses the next token from logits. The steps, in this order (that of Hugging Face's generate):
//   1. logit biases; frequency and presence penalties over the tokens of the answer (OpenAI's: logit -
//      frequency_penalty * count - presence_penalty * [count > 0]); the repetition penalty over those of
//      prompt and answer (CTRL, Keskar et al. 2019, section 4.1)
//   2. temperature; 0 takes the largest logit (the lowest id of equals) and skips the rest
//   3. top-k   4. top-p (the likeliest tokens whose sum reaches top_p)   5. min-p
//   6. one draw with the request's own generator
// The same options, seed and logits give the same tokens, whatever else runs.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <utility>
#include <vector>

#include "base/random.h"
#include "engine/engine.h"

namespace hadal::engine {

// What logits that are not finite mean, and what to do: the end of every error about them.
inline constexpr std::string_view kDamaged =
    "weights are damaged; `hadal inspect --check MODEL` names the tensor";

// Throws Error{kBadInput} "[sampling] top_p: 1.5 is not in (0, 1]" and the like.
void check_sampling(const SamplingOptions& options);

class Sampler {
 public:
  // Only ids below `token_count` are ever chosen. `seed` is used where the options have none.
  Sampler(const SamplingOptions& options, int64_t token_count, uint64_t seed);

  // Tells the repetition penalty what has been said; ids outside [0, token_count) are ignored.
  void observe(std::span<const text::TokenId> tokens);

  // Chooses a token from logits [>= token_count] and observes it. Throws Error{kInternal} for a NaN, for
  // +infinity or when no logit is finite.
  text::TokenId sample(std::span<const float> logits) { return sample(logits, logits); }
  // The same with the model's own logits [>= token_count] for the log-probability, where those to choose from
  // are masked by a grammar.
  text::TokenId sample(std::span<const float> logits, std::span<const float> unmasked);

  // Of the last token sampled, once; none unless the options ask for it.
  std::optional<TokenLogprob> take_logprob() { return std::exchange(logprob_, std::nullopt); }

 private:
  struct Candidate {
    float logit;
    text::TokenId id;
  };
  // Whether the candidates' weights are the model's own distribution, so that its sum need not be taken
  // again.
  bool weights_are_probabilities() const {
    return options_.temperature == 1 && options_.top_k == 0 && options_.top_p == 1 && options_.min_p == 0 &&
           options_.repetition_penalty == 1 && biases_.empty() && counts_.empty();
  }
  void fill_candidates(std::span<const float> logits);
  text::TokenId draw();
  TokenLogprob logprob_of(text::TokenId id, std::span<const float> logits) const;

  SamplingOptions options_;
  base::Random random_;
  std::vector<bool> seen_;     // [token_count]
  std::vector<float> biases_;  // [token_count], or empty: none
  std::vector<int> counts_;    // [token_count] in the answer, or empty: no penalties
  std::optional<TokenLogprob> logprob_;
  std::optional<double> log_total_;    // ln of the sum of exp(logit), where draw() has it
  std::vector<Candidate> candidates_;  // scratch, [<= token_count]
  std::vector<double> weights_;        // scratch, likewise
};

}  // namespace hadal::engine
