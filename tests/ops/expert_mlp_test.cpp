// The experts and their permutation: against a token-by-token definition, and gradients against differences.
#include "ops/expert_mlp.h"

#include "ops/finite_difference.h"

namespace hadal {
namespace {

using test::expect_gradient;
using test::project;
using test::random_values;
using test::view;

TEST(ExpertOrder, SlotsAreSortedByExpertThenToken) {
  const std::vector<int32_t> chosen{2, 0, 0, 1, 2, 0};  // 3 tokens, 2 choices each
  const auto order = ops::sort_by_expert(chosen, 3, 2, 4);
  EXPECT_EQ(order.offsets, (std::vector<int64_t>{0, 3, 4, 6, 6}));
  EXPECT_EQ(order.slot_token, (std::vector<int32_t>{0, 1, 2, 1, 0, 2}));
  EXPECT_EQ(order.token_slot, (std::vector<int32_t>{4, 0, 1, 3, 5, 2}));
  EXPECT_EQ(order.slot_choice, (std::vector<int32_t>{1, 2, 5, 3, 0, 4}));
}

// Tokens, their choices among the experts, and everything that the op reads and writes.
struct Case {
  int64_t tokens, top_k, experts, hidden, intermediate;
  ops::ExpertOrder order;
  std::vector<float> x, weights, gate_up, down, pre, outputs, out;
  std::vector<float> dx, dweights, d_gate_up, d_down;

  Case(int64_t tokens_, int64_t top_k_, int64_t experts_, int64_t hidden_, int64_t intermediate_)
      : tokens(tokens_), top_k(top_k_), experts(experts_), hidden(hidden_), intermediate(intermediate_) {
    base::Random random(11);
    std::vector<int32_t> chosen;
    for (int64_t t = 0; t < tokens; ++t) {
      const auto first = random.below(static_cast<uint64_t>(experts - 1));  // the last expert gets nothing
      for (int64_t j = 0; j < top_k; ++j) {
        chosen.push_back(
            static_cast<int32_t>((first + static_cast<uint64_t>(j)) % static_cast<uint64_t>(experts - 1)));
      }
    }
    order = ops::sort_by_expert(chosen, tokens, top_k, experts);
    x = random_values(tokens * hidden, 1);
    weights = random_values(tokens * top_k, 2);
    gate_up = random_values(experts * 2 * intermediate * hidden, 3, 0.5);
    down = random_values(experts * hidden * intermediate, 4, 0.5);
    pre.resize(static_cast<size_t>(tokens * top_k * 2 * intermediate));
    outputs.resize(static_cast<size_t>(tokens * top_k * hidden));
    out.resize(x.size());
    dx.assign(x.size(), 0.0f);
    dweights.resize(weights.size());
    d_gate_up.assign(gate_up.size(), 0.0f);
    d_down.assign(down.size(), 0.0f);
  }

  std::vector<ops::ExpertMlp> list() {
    std::vector<ops::ExpertMlp> all;
    for (int64_t e = 0; e < experts; ++e) {
      const int64_t up = e * 2 * intermediate * hidden, dn = e * hidden * intermediate;
      all.push_back({tensor::matrix(gate_up.data() + up, 2 * intermediate, hidden),
                     tensor::matrix(down.data() + dn, hidden, intermediate),
                     tensor::matrix(d_gate_up.data() + up, 2 * intermediate, hidden),
                     tensor::matrix(d_down.data() + dn, hidden, intermediate)});
    }
    return all;
  }

  void forward(base::ThreadPool& pool) {
    std::fill(out.begin(), out.end(), 0.0f);
    ops::expert_mlp(order, list(), view(x, tokens, hidden), view(pre, tokens * top_k, 2 * intermediate),
                    view(outputs, tokens * top_k, hidden), pool);
    ops::combine(order, view(outputs, tokens * top_k, hidden), view(weights, tokens, top_k),
                 view(out, tokens, hidden), pool);
  }

  void backward(std::vector<float>& dout, base::ThreadPool& pool) {
    ops::expert_mlp_backward(order, list(), view(x, tokens, hidden), view(weights, tokens, top_k),
                             view(dout, tokens, hidden), view(pre, tokens * top_k, 2 * intermediate),
                             view(outputs, tokens * top_k, hidden), view(dweights, tokens, top_k), pool);
    ops::dispatch_backward(order, view(outputs, tokens * top_k, hidden), view(dx, tokens, hidden), pool);
  }
};

TEST(ExpertMlp, EqualsItsDefinition) {
  base::ThreadPool pool(2);
  Case c(9, 2, 4, 5, 3);
  c.forward(pool);
  for (int64_t t = 0; t < c.tokens; ++t) {
    std::vector<double> expected(static_cast<size_t>(c.hidden));
    for (int64_t j = 0; j < c.top_k; ++j) {
      const int64_t slot = c.order.token_slot[static_cast<size_t>(t * c.top_k + j)];
      int64_t e = 0;
      while (c.order.offsets[static_cast<size_t>(e) + 1] <= slot) ++e;
      for (int64_t i = 0; i < c.intermediate; ++i) {
        double gate = 0, up = 0;
        for (int64_t d = 0; d < c.hidden; ++d) {
          const double value = c.x[static_cast<size_t>(t * c.hidden + d)];
          gate += value * c.gate_up[static_cast<size_t>((e * 2 * c.intermediate + i) * c.hidden + d)];
          up += value *
                c.gate_up[static_cast<size_t>((e * 2 * c.intermediate + c.intermediate + i) * c.hidden + d)];
        }
        const double h = gate / (1 + std::exp(-gate)) * up * c.weights[static_cast<size_t>(t * c.top_k + j)];
        for (int64_t d = 0; d < c.hidden; ++d) {
          expected[static_cast<size_t>(d)] +=
              h * c.down[static_cast<size_t>((e * c.hidden + d) * c.intermediate + i)];
        }
      }
    }
    for (int64_t d = 0; d < c.hidden; ++d) {
      EXPECT_NEAR(c.out[static_cast<size_t>(t * c.hidden + d)], expected[static_cast<size_t>(d)], 1e-4);
    }
  }
}

TEST(ExpertMlp, GradientsMatchDifferences) {
  base::ThreadPool pool(2);
  Case c(9, 2, 4, 5, 3);
  auto direction = random_values(c.tokens * c.hidden, 9);
  c.forward(pool);
  c.backward(direction, pool);
  const auto loss = [&] {
    c.forward(pool);
    return project(c.out, direction);
  };
  expect_gradient(c.x, c.dx, loss);
  expect_gradient(c.weights, c.dweights, loss);
  expect_gradient(c.gate_up, c.d_gate_up, loss);
  expect_gradient(c.down, c.d_down, loss);
}

TEST(ExpertMlp, SameBitsForAnyNumberOfThreadsOverSeveralChunks) {
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    base::ThreadPool pool(threads);
    Case c(900, 2, 4, 20, 12);  // about 600 slots an expert: three chunks
    auto direction = random_values(c.tokens * c.hidden, 9);
    c.forward(pool);
    auto all = c.out;
    c.backward(direction, pool);
    for (const auto* part : {&c.dx, &c.dweights, &c.d_gate_up, &c.d_down})
      all.insert(all.end(), part->begin(), part->end());
    results.push_back(std::move(all));
  }
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

}  // namespace
}  // namespace hadal
