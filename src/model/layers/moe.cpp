#include "model/layers/moe.h"

#include <vector>

#include "model/layers/projection.h"
#include "ops/expert_mlp.h"

namespace hadal::model {

namespace {

std::vector<ops::ExpertMlp> expert_list(const MoeWeights& w, bool with_gradients) {
  std::vector<ops::ExpertMlp> experts;
  experts.reserve(w.experts.size());
  for (const MlpWeights& e : w.experts) {
    ops::ExpertMlp expert{e.gate_up.matrix(), e.down_proj.matrix(), {}, {},
                          e.gate_up.adapters, e.down_proj.adapters};
    if (with_gradients) {
      expert.d_gate_up = e.gate_up.gradient();
      expert.d_down = e.down_proj.gradient();
    }
    experts.push_back(expert);
  }
  return experts;
}

}  // namespace

ops::RouterOptions router_options(const ModelConfig& c, const float* selection_bias) {
  ops::RouterOptions o;
  o.sigmoid = c.scoring_func == ScoringFunc::kSigmoid;
  o.experts = c.n_routed_experts;
  o.top_k = c.num_experts_per_tok;
  if (c.topk_method != TopkMethod::kGreedy) {
    o.groups = c.n_group;
    o.top_groups = c.topk_group;
  }
  o.group_sum_of_two = c.topk_method == TopkMethod::kNoauxTc;
  o.normalize = c.norm_topk_prob;
  o.scale = static_cast<float>(c.routed_scaling_factor);
  o.bias = selection_bias;
  return o;
}

void moe_forward(const ModelConfig& config, const MoeWeights& w, tensor::ConstMatrix x, MoeActivations& a,
                 tensor::Matrix y, base::ThreadPool& pool) {
  const int64_t tokens = x.rows, slots = tokens * config.num_experts_per_tok;
  const int64_t intermediate = config.moe_intermediate_size;
  a.logits.resize(tokens * config.n_routed_experts);
  a.gate_up.resize(slots * 2 * intermediate);
  a.outputs.resize(slots * x.cols);

  const auto logits = a.logits.view(tokens, config.n_routed_experts);
  project(w.gate, x, logits, pool);
  ops::route(router_options(config, w.e_score_correction_bias.value), logits, a.routing, pool);
  a.order =
      ops::sort_by_expert(a.routing.experts, tokens, config.num_experts_per_tok, config.n_routed_experts);

  const auto outputs = a.outputs.view(slots, x.cols);
  ops::expert_mlp(a.order, expert_list(w, false), x, a.gate_up.view(slots, 2 * intermediate), outputs, pool);
  ops::combine(a.order, outputs, a.routing.weights.view(tokens, config.num_experts_per_tok), y, pool);
  if (!w.shared_experts.down_proj.empty()) mlp_forward(w.shared_experts, x, a.shared, y, pool);
}

double moe_backward(const ModelConfig& config, const MoeWeights& w, tensor::ConstMatrix x, MoeActivations& a,
                    tensor::ConstMatrix dy, tensor::Matrix dx, const BalanceLoss& balance,
                    base::ThreadPool& pool) {
  const int64_t tokens = x.rows, top_k = config.num_experts_per_tok, slots = tokens * top_k;
  const int64_t intermediate = config.moe_intermediate_size;
  const auto options = router_options(config, w.e_score_correction_bias.value);
  const auto logits = a.logits.view(tokens, config.n_routed_experts);

  if (!w.shared_experts.down_proj.empty()) mlp_backward(w.shared_experts, x, a.shared, dy, dx, pool);

  tensor::Buffer dweights(tokens * top_k);  // [M, K]
  const auto dslots =
      a.outputs.view(slots, x.cols);  // the outputs are used up: their memory takes the gradient
  ops::expert_mlp_backward(a.order, expert_list(w, true), x, a.routing.weights.view(tokens, top_k), dy,
                           a.gate_up.view(slots, 2 * intermediate), dslots, dweights.view(tokens, top_k),
                           pool);
  ops::dispatch_backward(a.order, dslots, dx, pool);

  ops::route_backward(options, a.routing, dweights.view(tokens, top_k), logits, pool);
  double loss = 0;
  if (balance.alpha > 0) {
    loss = ops::sequence_balance_loss(options, a.routing, balance.length, balance.alpha,
                                      balance.gradient_scale, logits, pool);
  }
  project_backward(w.gate, x, logits, dx, pool, /*accumulate=*/true);
  return loss;
}

double moe_balance_loss(const ModelConfig& config, const MoeWeights& w, const MoeActivations& a,
                        const BalanceLoss& balance, base::ThreadPool& pool) {
  if (balance.alpha <= 0) return 0;
  return ops::sequence_balance_loss(router_options(config, w.e_score_correction_bias.value), a.routing,
                                    balance.length, balance.alpha, 0, {}, pool);
}

}  // namespace hadal::model
