#include "engine/layers/feed_forward.h"

#include <numeric>

#include "kernels/rowwise.h"
#include "model/layers/moe.h"

namespace hadal::engine {

namespace {

// hidden[M, I] = silu(gate) * up of gate_up [M, 2 * I].
void swiglu(const LayerContext& context, ConstMatrix gate_up, Matrix hidden) {
  base::parallel_for(context.pool, hidden.rows, 4, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      kernels::swiglu(gate_up.row(r), gate_up.row(r) + hidden.cols, hidden.row(r), hidden.cols);
    }
  });
}

// The two products that lead into a SwiGLU: gate and up side by side in gate_up [m, 2 * intermediate].
void add_gate_up(const model::StoredMlp& w, const Activations& x, const int32_t* rows, int64_t m,
                 Matrix gate_up, std::vector<QuantGemm>& problems) {
  problems.push_back({&x, rows, m, w.gate_proj, gate_up.data, gate_up.stride});
  problems.push_back({&x, rows, m, w.up_proj, gate_up.data + w.gate_proj.rows, gate_up.stride});
}

Matrix sized(Buffer& buffer, int64_t rows, int64_t cols) {
  buffer.resize(rows * cols);
  return buffer.view(rows, cols);
}

void dense(const LayerContext& context, const model::StoredMlp& w, ConstMatrix x, FeedForwardScratch& s,
           Matrix y) {
  const int64_t intermediate = w.gate_proj.rows;
  const auto gate_up = sized(s.shared_gate_up, x.rows, 2 * intermediate);
  const auto hidden = sized(s.shared_hidden, x.rows, intermediate);
  context.prepare(s.inputs, x, {&w.gate_proj, &w.up_proj});
  std::vector<QuantGemm> problems;
  add_gate_up(w, s.inputs, nullptr, x.rows, gate_up, problems);
  kernels::quant_gemm(problems, context.precision, context.pool);
  swiglu(context, gate_up, hidden);
  context.prepare(s.shared_inputs, hidden, {&w.down_proj});
  context.multiply({product(s.shared_inputs, w.down_proj, y, /*accumulate=*/true)});
}

void mixture(const LayerContext& context, const model::StoredMoe& w, ConstMatrix x, FeedForwardScratch& s,
             Matrix y) {
  const auto& c = context.config;
  const int64_t tokens = x.rows, slots = tokens * c.num_experts_per_tok,
                intermediate = c.moe_intermediate_size;
  bool in_int8 = context.needs_int8(w.gate) || context.needs_int8(w.shared_experts.gate_proj) ||
                 context.needs_int8(w.shared_experts.up_proj);
  bool hidden_int8 = false;
  for (const model::StoredMlp& expert : w.experts) {
    in_int8 = in_int8 || context.needs_int8(expert.gate_proj) || context.needs_int8(expert.up_proj);
    hidden_int8 = hidden_int8 || context.needs_int8(expert.down_proj);
  }
  s.inputs.assign(x, in_int8, context.pool);

  const auto logits = sized(s.logits, tokens, c.n_routed_experts);
  context.multiply({product(s.inputs, w.gate, logits)});
  ops::route(model::router_options(c, w.e_score_correction_bias.data), logits, s.routing, context.pool);
  s.order = ops::sort_by_expert(s.routing.experts, tokens, c.num_experts_per_tok, c.n_routed_experts);

  const auto gate_up = sized(s.gate_up, slots, 2 * intermediate);
  const auto hidden = sized(s.hidden, slots, intermediate);
  const auto outputs = sized(s.outputs, slots, x.cols);
  std::vector<QuantGemm> problems;
  const auto begin = [&](size_t e) { return s.order.offsets[e]; };
  const auto load = [&](size_t e) { return s.order.offsets[e + 1] - s.order.offsets[e]; };
  for (size_t e = 0; e < w.experts.size(); ++e) {
    if (load(e) == 0) continue;
    add_gate_up(w.experts[e], s.inputs, s.order.slot_token.data() + begin(e), load(e),
                gate_up.slice_rows(begin(e), load(e)), problems);
  }
  Matrix shared_gate_up, shared_hidden;
  if (!w.shared_experts.empty()) {
    const int64_t shared = w.shared_experts.gate_proj.rows;
    shared_gate_up = sized(s.shared_gate_up, tokens, 2 * shared);
    shared_hidden = sized(s.shared_hidden, tokens, shared);
    add_gate_up(w.shared_experts, s.inputs, nullptr, tokens, shared_gate_up, problems);
  }
  kernels::quant_gemm(problems, context.precision, context.pool);
  swiglu(context, gate_up, hidden);

  s.hidden_inputs.assign(hidden, hidden_int8, context.pool);
  std::vector<int32_t> slot_rows(static_cast<size_t>(slots));
  std::iota(slot_rows.begin(), slot_rows.end(), 0);
  problems.clear();
  for (size_t e = 0; e < w.experts.size(); ++e) {
    if (load(e) == 0) continue;
    problems.push_back({&s.hidden_inputs, slot_rows.data() + begin(e), load(e), w.experts[e].down_proj,
                        outputs.row(begin(e)), outputs.stride});
  }
  if (!w.shared_experts.empty()) {
    swiglu(context, shared_gate_up, shared_hidden);
    context.prepare(s.shared_inputs, shared_hidden, {&w.shared_experts.down_proj});
    problems.push_back(product(s.shared_inputs, w.shared_experts.down_proj, y, /*accumulate=*/true));
  }
  kernels::quant_gemm(problems, context.precision, context.pool);
  ops::combine(s.order, outputs, s.routing.weights.view(tokens, c.num_experts_per_tok), y, context.pool);
}

}  // namespace

void feed_forward(const LayerContext& context, const model::StoredBlock& w, ConstMatrix x,
                  FeedForwardScratch& s, Matrix y) {
  if (w.moe)
    mixture(context, *w.moe, x, s, y);
  else
    dense(context, w.mlp, x, s, y);
}

}  // namespace hadal::engine
