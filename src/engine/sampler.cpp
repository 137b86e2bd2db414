#include "engine/sampler.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"
#include "text/utf8.h"

namespace hadal::engine {

namespace {
constexpr size_t kFirstSorted = 64;  // top-p rarely needs more of a vocabulary in order
}  // namespace

void check_sampling(const SamplingOptions& options) {
  const auto refuse = [](const char* name, auto value, const char* range) {
    throw_error(ErrorCode::kBadInput, "[sampling] {}: {} is not {}", name, value, range);
  };
  // Written so that NaN fails.
  if (!(options.temperature >= 0 && options.temperature <= 100)) {
    refuse("temperature", options.temperature, "in [0, 100]");
  }
  if (options.top_k < 0) refuse("top_k", options.top_k, "0 (off) or more");
  if (!(options.top_p > 0 && options.top_p <= 1)) refuse("top_p", options.top_p, "in (0, 1]");
  if (!(options.min_p >= 0 && options.min_p < 1)) refuse("min_p", options.min_p, "in [0, 1)");
  if (!(options.repetition_penalty > 0 && options.repetition_penalty <= 100)) {
    refuse("repetition_penalty", options.repetition_penalty, "in (0, 100]");
  }
  for (const auto& [name, value] : {std::pair{"frequency_penalty", options.frequency_penalty},
                                    std::pair{"presence_penalty", options.presence_penalty}}) {
    if (!(value >= -2 && value <= 2)) refuse(name, value, "in [-2, 2]");
  }
  if (options.logit_bias.size() > kMaxLogitBiases) {
    refuse("logit_bias", options.logit_bias.size(), "at most 1024 tokens");
  }
  for (const LogitBias& bias : options.logit_bias) {
    if (!(bias.bias >= -100 && bias.bias <= 100)) refuse("logit_bias", bias.bias, "in [-100, 100]");
  }
  if (options.top_logprobs < 0 || options.top_logprobs > kMaxTopLogprobs) {
    refuse("top_logprobs", options.top_logprobs, "in [0, 20]");
  }
  if (options.max_tokens < 0) refuse("max_tokens", options.max_tokens, "0 (no limit) or more");
  if (options.stop.size() > kMaxStops) {
    throw_error(ErrorCode::kBadInput, "[sampling] stop: {} strings, at most {}", options.stop.size(),
                kMaxStops);
  }
  for (const auto& stop : options.stop) {
    if (stop.empty() || stop.size() > kMaxStopBytes) {
      throw_error(ErrorCode::kBadInput, "[sampling] stop: a string of {} bytes, not 1 to {}", stop.size(),
                  kMaxStopBytes);
    }
    if (text::valid_utf8_prefix(stop) != stop.size()) {
      throw_error(ErrorCode::kBadInput, "[sampling] stop: a string is not valid UTF-8");
    }
  }
}

Sampler::Sampler(const SamplingOptions& options, int64_t token_count, uint64_t seed)
    : options_(options), random_(options.seed.value_or(seed)), seen_(static_cast<size_t>(token_count)) {
  if (options_.frequency_penalty != 0 || options_.presence_penalty != 0) counts_.resize(seen_.size());
  if (!options_.logit_bias.empty()) biases_.resize(seen_.size());
  for (const LogitBias& bias : options_.logit_bias) {
    const auto id = static_cast<size_t>(bias.id);
    if (bias.id >= 0 && id < biases_.size()) biases_[id] = bias.bias;
  }
}

void Sampler::observe(std::span<const text::TokenId> tokens) {
  for (const auto id : tokens) {
    if (id >= 0 && static_cast<size_t>(id) < seen_.size()) seen_[static_cast<size_t>(id)] = true;
  }
}

void Sampler::fill_candidates(std::span<const float> logits) {
  HADAL_CHECK(logits.size() >= seen_.size());
  const float penalty = options_.repetition_penalty;
  candidates_.clear();
  for (size_t i = 0; i < seen_.size(); ++i) {
    float logit = logits[i];
    if (std::isnan(logit) || logit == INFINITY) {
      throw_error(ErrorCode::kInternal, "[sampling] the model's logit of token {} is {}: {}", i, logit,
                  kDamaged);
    }
    if (logit == -INFINITY) continue;
    if (!biases_.empty()) logit += biases_[i];
    if (!counts_.empty() && counts_[i] > 0) {
      logit -= options_.frequency_penalty * static_cast<float>(counts_[i]) + options_.presence_penalty;
    }
    if (penalty != 1.0f && seen_[i]) logit = logit > 0 ? logit / penalty : logit * penalty;
    candidates_.push_back({logit, static_cast<text::TokenId>(i)});
  }
  if (candidates_.empty()) {
    throw_error(ErrorCode::kInternal, "[sampling] every logit is -infinity: {}", kDamaged);
  }
}

text::TokenId Sampler::sample(std::span<const float> logits, std::span<const float> unmasked) {
  fill_candidates(logits);
  log_total_.reset();
  text::TokenId id = 0;
  if (options_.temperature == 0) {
    id = std::max_element(candidates_.begin(), candidates_.end(), [](const Candidate& a, const Candidate& b) {
           return a.logit < b.logit;  // the first of equals wins: the lowest id
         })->id;
  } else {
    id = draw();
  }
  seen_[static_cast<size_t>(id)] = true;
  if (!counts_.empty()) ++counts_[static_cast<size_t>(id)];
  if (logits.data() != unmasked.data()) log_total_.reset();
  if (options_.logprobs) logprob_ = logprob_of(id, unmasked);
  return id;
}

TokenLogprob Sampler::logprob_of(text::TokenId id, std::span<const float> logits) const {
  logits = logits.first(seen_.size());
  double log_total = 0;
  if (log_total_) {
    log_total = *log_total_;
  } else {
    const float best = *std::max_element(logits.begin(), logits.end());
    double total = 0;
    for (const float logit : logits) total += std::exp(static_cast<double>(logit) - best);
    log_total = best + std::log(total);
  }
  const auto logprob = [&](text::TokenId token) {
    return static_cast<float>(static_cast<double>(logits[static_cast<size_t>(token)]) - log_total);
  };
  TokenLogprob result{id, logprob(id), {}, false};
  if (options_.top_logprobs == 0) return result;
  std::vector<text::TokenId> ids(std::min(static_cast<size_t>(options_.top_logprobs), logits.size()));
  std::vector<text::TokenId> all(logits.size());
  std::iota(all.begin(), all.end(), 0);
  std::partial_sort_copy(all.begin(), all.end(), ids.begin(), ids.end(),
                         [&](text::TokenId a, text::TokenId b) {
                           const float x = logits[static_cast<size_t>(a)];
                           const float y = logits[static_cast<size_t>(b)];
                           return x != y ? x > y : a < b;
                         });
  for (const text::TokenId token : ids) result.top.emplace_back(token, logprob(token));
  return result;
}

text::TokenId Sampler::draw() {
  const auto likelier = [](const Candidate& a, const Candidate& b) {
    return a.logit != b.logit ? a.logit > b.logit : a.id < b.id;
  };
  const auto at = [&](size_t i) { return candidates_.begin() + static_cast<std::ptrdiff_t>(i); };
  const auto top_k = static_cast<size_t>(options_.top_k);
  if (top_k > 0 && top_k < candidates_.size()) {
    std::nth_element(at(0), at(top_k - 1), candidates_.end(), likelier);
    candidates_.resize(top_k);
    std::sort(at(0), candidates_.end(), likelier);  // nth_element leaves them in no particular order
  }
  float best = -INFINITY;
  for (const auto& candidate : candidates_) best = std::max(best, candidate.logit);
  const auto weight = [&](const Candidate& candidate) {
    return std::exp((static_cast<double>(candidate.logit) - best) / options_.temperature);
  };
  if (options_.top_p < 1) {
    double total = 0;
    for (const auto& candidate : candidates_) total += weight(candidate);
    // Sorts as far as needed: first a few, then twice as many, until their sum reaches top_p.
    size_t sorted = 0;
    size_t kept = 0;
    double sum = 0;
    while (kept < candidates_.size() && (kept == 0 || sum < options_.top_p * total)) {
      if (kept == sorted) {
        const size_t next = std::min(candidates_.size(), std::max(kFirstSorted, 2 * sorted));
        std::partial_sort(at(sorted), at(next), candidates_.end(), likelier);
        sorted = next;
      }
      sum += weight(candidates_[kept++]);
    }
    candidates_.resize(kept);
  }
  // The likeliest has weight 1, so min_p is a bound on the weight itself.
  weights_.clear();
  double total = 0;
  size_t kept = 0;
  for (const auto& candidate : candidates_) {
    const double w = weight(candidate);
    if (w < options_.min_p) continue;
    candidates_[kept++] = candidate;
    weights_.push_back(w);
    total += w;
  }
  if (weights_are_probabilities()) log_total_ = best + std::log(total);
  double left = random_.uniform() * total;
  for (size_t i = 0; i < kept; ++i) {
    left -= weights_[i];
    if (left < 0) return candidates_[i].id;
  }
  return candidates_[kept - 1].id;  // rounding of the sum
}

}  // namespace hadal::engine
