#include "ledger/price_suggestion.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"

namespace hadal::ledger {

namespace {

// Of prompts' and outputs' tokens as columns: how far they are from being one a multiple of the other. Below
// this the two costs cannot be told apart.
constexpr double kLeastIndependence = 0.02;
constexpr size_t kLeastSamples = 5;
constexpr double kMillion = 1e6;

}  // namespace

SecondsPerToken fit_seconds(std::span<const WorkSample> samples, double output_weight) {
  double busy = 0, prefilled = 0, generated = 0;
  double pp = 0, pg = 0, gg = 0, pb = 0, gb = 0;
  for (const WorkSample& s : samples) {
    busy += s.busy_seconds;
    prefilled += s.prefilled_tokens;
    generated += s.generated_tokens;
    pp += s.prefilled_tokens * s.prefilled_tokens;
    pg += s.prefilled_tokens * s.generated_tokens;
    gg += s.generated_tokens * s.generated_tokens;
    pb += s.prefilled_tokens * s.busy_seconds;
    gb += s.generated_tokens * s.busy_seconds;
  }
  if (!(busy > 0) || prefilled + generated <= 0) {
    throw_error(ErrorCode::kBadInput,
                "[price] the server did nothing meanwhile: measure it under its usual load");
  }
  const double determinant = pp * gg - pg * pg;
  if (samples.size() >= kLeastSamples && determinant > kLeastIndependence * pp * gg) {
    const SecondsPerToken seconds{(gg * pb - pg * gb) / determinant, (pp * gb - pg * pb) / determinant};
    if (seconds.miss > 0 && seconds.output > 0) return seconds;
  }
  const double miss = busy / (prefilled + output_weight * generated);
  return {miss, output_weight * miss};
}

SuggestedPrices suggest_prices(const SecondsPerToken& seconds, const PriceTerms& terms) {
  const double per_second = terms.cost_per_hour / 3600 / std::clamp(terms.busy_share, 1e-6, 1.0);
  SuggestedPrices prices;
  prices.cost_miss = seconds.miss * per_second * kMillion;
  prices.cost_output = seconds.output * per_second * kMillion;
  prices.miss = prices.cost_miss * (1 + terms.margin);
  prices.output = prices.cost_output * (1 + terms.margin);
  prices.hit = prices.miss * terms.hit_share;
  return prices;
}

}  // namespace hadal::ledger
