#include "ops/router.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "base/error.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {

constexpr int64_t kChunkTokens = 64;
constexpr float kNever = -std::numeric_limits<float>::infinity();

// The k best of values[n], best first; the lower index wins a tie. Small k: repeated selection.
void top_k(const float* values, int64_t n, int64_t k, int32_t* out) {
  for (int64_t j = 0; j < k; ++j) {
    int64_t best = -1;
    for (int64_t i = 0; i < n; ++i) {
      if (best >= 0 && !(values[i] > values[best])) continue;
      if (std::find(out, out + j, static_cast<int32_t>(i)) == out + j) best = i;
    }
    out[j] = static_cast<int32_t>(best);
  }
}

float group_rank(const float* scores, int64_t n, bool sum_of_two) {
  float first = kNever, second = kNever;
  for (int64_t i = 0; i < n; ++i) {
    if (scores[i] > first) {
      second = first;
      first = scores[i];
    } else if (scores[i] > second) {
      second = scores[i];
    }
  }
  return sum_of_two && n > 1 ? first + second : first;
}

// Adds the gradient of the scores (dscores [E]) to that of the logits.
void scores_backward(const RouterOptions& o, const float* scores, const float* dscores, float* dlogits) {
  if (o.sigmoid) {
    for (int64_t i = 0; i < o.experts; ++i) dlogits[i] += dscores[i] * scores[i] * (1 - scores[i]);
    return;
  }
  float dot = 0;
  for (int64_t i = 0; i < o.experts; ++i) dot += dscores[i] * scores[i];
  for (int64_t i = 0; i < o.experts; ++i) dlogits[i] += scores[i] * (dscores[i] - dot);
}

}  // namespace

void route(const RouterOptions& o, ConstMatrix logits, Routing& r, base::ThreadPool& pool) {
  HADAL_CHECK(logits.cols == o.experts && o.top_k <= o.experts && o.experts % o.groups == 0);
  r.scores.resize(logits.rows * o.experts);
  r.experts.resize(static_cast<size_t>(logits.rows * o.top_k));
  r.weights.resize(logits.rows * o.top_k);
  const int64_t group_size = o.experts / o.groups;
  base::parallel_for(pool, logits.rows, kChunkTokens, [&](int64_t begin, int64_t end) {
    std::vector<float> selection(static_cast<size_t>(o.experts));
    std::vector<float> ranks(static_cast<size_t>(o.groups));
    std::vector<int32_t> kept(static_cast<size_t>(o.top_groups));
    for (int64_t t = begin; t < end; ++t) {
      float* scores = r.scores.data() + t * o.experts;
      if (o.sigmoid) {
        kernels::sigmoid(logits.row(t), scores, o.experts);
      } else {
        std::copy_n(logits.row(t), o.experts, scores);
        kernels::softmax(scores, o.experts);
      }
      for (int64_t i = 0; i < o.experts; ++i) {
        selection[static_cast<size_t>(i)] = scores[i] + (o.bias != nullptr ? o.bias[i] : 0.0f);
      }
      if (o.groups > 1) {
        for (int64_t g = 0; g < o.groups; ++g) {
          ranks[static_cast<size_t>(g)] =
              group_rank(selection.data() + g * group_size, group_size, o.group_sum_of_two);
        }
        top_k(ranks.data(), o.groups, o.top_groups, kept.data());
        for (int64_t g = 0; g < o.groups; ++g) {
          if (std::find(kept.begin(), kept.end(), static_cast<int32_t>(g)) != kept.end()) continue;
          std::fill_n(selection.begin() + g * group_size, group_size, kNever);
        }
      }
      int32_t* chosen = r.experts.data() + t * o.top_k;
      top_k(selection.data(), o.experts, o.top_k, chosen);
      float* weights = r.weights.data() + t * o.top_k;
      float sum = 0;
      for (int64_t j = 0; j < o.top_k; ++j) {
        weights[j] = scores[chosen[j]];
        sum += weights[j];
      }
      const float factor = o.normalize ? o.scale / sum : o.scale;
      for (int64_t j = 0; j < o.top_k; ++j) weights[j] *= factor;
    }
  });
}

void route_backward(const RouterOptions& o, const Routing& r, ConstMatrix dweights, Matrix dlogits,
                    base::ThreadPool& pool) {
  HADAL_CHECK(dweights.cols == o.top_k && dlogits.cols == o.experts);
  base::parallel_for(pool, dlogits.rows, kChunkTokens, [&](int64_t begin, int64_t end) {
    std::vector<float> dscores(static_cast<size_t>(o.experts));
    for (int64_t t = begin; t < end; ++t) {
      const float* scores = r.scores.data() + t * o.experts;
      const int32_t* chosen = r.experts.data() + t * o.top_k;
      const float* dw = dweights.row(t);
      std::fill(dscores.begin(), dscores.end(), 0.0f);
      float sum = 1, dot = 0;
      if (o.normalize) {  // w_j = scale * s_j / sum(s)
        sum = 0;
        for (int64_t j = 0; j < o.top_k; ++j) sum += scores[chosen[j]];
        for (int64_t j = 0; j < o.top_k; ++j) dot += dw[j] * scores[chosen[j]] / sum;
      }
      for (int64_t j = 0; j < o.top_k; ++j)
        dscores[static_cast<size_t>(chosen[j])] = o.scale * (dw[j] - dot) / sum;
      std::fill_n(dlogits.row(t), o.experts, 0.0f);
      scores_backward(o, scores, dscores.data(), dlogits.row(t));
    }
  });
}

double sequence_balance_loss(const RouterOptions& o, const Routing& r, int64_t length, float alpha,
                             float gradient_scale, Matrix dlogits, base::ThreadPool& pool) {
  const int64_t tokens = r.scores.size() / o.experts;
  HADAL_CHECK(tokens % length == 0);
  const int64_t sequences = tokens / length;
  const auto experts = static_cast<size_t>(o.experts);
  std::vector<double> losses(static_cast<size_t>(sequences));
  pool.run(sequences, [&](int64_t sequence, int) {
    std::vector<int32_t> chosen(static_cast<size_t>(o.top_k));
    std::vector<double> count(experts), share(experts);
    std::vector<float> dscores(experts);
    const float* rows = r.scores.data() + sequence * length * o.experts;
    for (int64_t t = 0; t < length; ++t) {
      const float* scores = rows + t * o.experts;
      top_k(scores, o.experts, o.top_k, chosen.data());
      for (const int32_t e : chosen) count[static_cast<size_t>(e)] += 1;
      double sum = 0;
      for (size_t i = 0; i < experts; ++i) sum += scores[i];
      for (size_t i = 0; i < experts; ++i) share[i] += scores[i] / sum;
    }
    const auto n = static_cast<double>(length);
    const double to_f = static_cast<double>(o.experts) / (static_cast<double>(o.top_k) * n);
    double loss = 0;
    for (size_t i = 0; i < experts; ++i) loss += to_f * count[i] * share[i] / n;
    losses[static_cast<size_t>(sequence)] = alpha * loss;
    if (dlogits.data == nullptr) return;
    const double factor = static_cast<double>(alpha) * gradient_scale / (n * static_cast<double>(sequences));
    for (int64_t t = 0; t < length; ++t) {
      const float* scores = rows + t * o.experts;
      double sum = 0, dot = 0;
      for (size_t i = 0; i < experts; ++i) sum += scores[i];
      for (size_t i = 0; i < experts; ++i) dot += to_f * count[i] * scores[i] / sum;
      for (size_t i = 0; i < experts; ++i) {
        dscores[i] = static_cast<float>(factor * (to_f * count[i] - dot) / sum);
      }
      scores_backward(o, scores, dscores.data(), dlogits.row(sequence * length + t));
    }
  });
  double total = 0;
  for (const double loss : losses) total += loss;
  return total / static_cast<double>(sequences);
}

}  // namespace hadal::ops
