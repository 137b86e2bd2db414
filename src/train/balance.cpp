#include "train/balance.h"

#include <algorithm>
#include <cmath>
#include <numeric>

#include "base/error.h"

namespace hadal::train {

void add_load(const ExpertLoad& part, ExpertLoad& total) {
  if (total.empty()) {
    total = part;
    return;
  }
  HADAL_CHECK(total.size() == part.size());
  for (size_t layer = 0; layer < part.size(); ++layer) {
    HADAL_CHECK(total[layer].size() == part[layer].size());
    for (size_t i = 0; i < part[layer].size(); ++i) total[layer][i] += part[layer][i];
  }
}

void update_routing_biases(const ExpertLoad& load, double gamma, std::span<const std::span<float>> biases) {
  if (gamma == 0) return;
  const size_t layers = std::min(load.size(), biases.size());
  for (size_t layer = 0; layer < layers; ++layer) {
    const std::vector<int64_t>& l = load[layer];
    const std::span<float> bias = biases[layer];
    if (bias.empty()) continue;
    HADAL_CHECK(bias.size() == l.size());
    // Compared as integers (n * load with the sum), so that "equal to the mean" is exact.
    const int64_t sum = std::accumulate(l.begin(), l.end(), int64_t{0});
    const auto n = static_cast<int64_t>(l.size());
    if (sum == 0) continue;  // an MTP module that was skipped in this step
    for (size_t i = 0; i < l.size(); ++i) {
      const int64_t excess = n * l[i] - sum;
      if (excess < 0) bias[i] += static_cast<float>(gamma);
      if (excess > 0) bias[i] -= static_cast<float>(gamma);
    }
  }
}

double max_violation(const ExpertLoad& load) {
  double sum = 0;
  int64_t layers = 0;
  for (const auto& l : load) {
    const int64_t total = std::accumulate(l.begin(), l.end(), int64_t{0});
    if (total == 0) continue;
    const double mean = static_cast<double>(total) / static_cast<double>(l.size());
    sum += (static_cast<double>(*std::max_element(l.begin(), l.end())) - mean) / mean;
    ++layers;
  }
  return layers == 0 ? 0 : sum / static_cast<double>(layers);
}

base::Json relative_load(const ExpertLoad& load) {
  base::Json layers = base::Json::array();
  for (const auto& layer : load) {
    double sum = 0;
    for (const int64_t l : layer) sum += static_cast<double>(l);
    base::Json row = base::Json::array();
    for (const int64_t l : layer) {
      const double relative = sum > 0 ? static_cast<double>(l) * static_cast<double>(layer.size()) / sum : 0;
      row.push_back(std::round(relative / 0.001) * 0.001);
    }
    layers.push_back(std::move(row));
  }
  return layers;
}

}  // namespace hadal::train
