#include "ops/expert_mlp.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "base/error.h"
#include "kernels/gemm.h"
#include "kernels/rowwise.h"

namespace hadal::ops {

namespace {

// Rows worked off together: inputs, hidden values and one expert's weights fit a 1-2 MB L2 cache at the
// widths of fine-grained experts.
constexpr int64_t kChunkRows = 384;

struct Scratch {
  tensor::Buffer x, dout, hidden, dhidden, inner;
};

// Kept by the worker between tasks.
Scratch& scratch() {
  static thread_local Scratch s;
  return s;
}

// [rows, rank], valid until the next call.
Matrix inner_of(const LowRank& adapter, int64_t rows) {
  Scratch& s = scratch();
  s.inner.resize(rows * adapter.a.rows);
  return s.inner.view(rows, adapter.a.rows);
}

// dx += scale dy B A
void add_input_gradient(const LowRank& adapter, ConstMatrix dy, Matrix dx) {
  LowRank frozen = adapter;
  frozen.d_a = frozen.d_b = {};
  const Matrix inner = inner_of(adapter, dy.rows);
  low_rank_backward_weight(frozen, dx, dy, inner, nullptr);
  low_rank_backward_input(frozen, inner, dx, nullptr);
}

// dw += dy^T x, where dw is trained
void add_weight_gradient(ConstMatrix dy, ConstMatrix x, Matrix dw) {
  if (dw.data == nullptr) return;
  kernels::gemm(kernels::gemm_tn(dy.data, dy.stride, x.data, x.stride, dw.data, dw.stride, dy.cols, x.cols,
                                 dy.rows, true));
}

// rows[i] = from[token of slot first + i]
void gather(const ExpertOrder& order, ConstMatrix from, int64_t first, Matrix rows) {
  for (int64_t i = 0; i < rows.rows; ++i) {
    std::copy_n(from.row(order.slot_token[static_cast<size_t>(first + i)]), rows.cols, rows.row(i));
  }
}

struct Chunk {
  size_t expert;
  int64_t begin, end;  // slots
};

// Adds the slots of one expert in chunks of nearly equal height; their bounds depend on its load alone.
void add_chunks(const ExpertOrder& order, size_t expert, std::vector<Chunk>& chunks) {
  const int64_t first = order.offsets[expert], rows = order.offsets[expert + 1] - first;
  const int64_t count = (rows + kChunkRows - 1) / kChunkRows;
  for (int64_t i = 0; i < count; ++i) {
    chunks.push_back({expert, first + rows * i / count, first + rows * (i + 1) / count});
  }
}

// Experts with work, the busiest first, so that no thread is left with a long last one.
std::vector<size_t> experts_by_load(const ExpertOrder& order) {
  std::vector<size_t> experts(order.offsets.size() - 1);
  std::iota(experts.begin(), experts.end(), size_t{0});
  const auto load = [&](size_t e) { return order.offsets[e + 1] - order.offsets[e]; };
  std::erase_if(experts, [&](size_t e) { return load(e) == 0; });
  std::stable_sort(experts.begin(), experts.end(), [&](size_t a, size_t b) { return load(a) > load(b); });
  return experts;
}

}  // namespace

void expert_mlp(const ExpertOrder& order, std::span<const ExpertMlp> experts, ConstMatrix x, Matrix gate_up,
                Matrix outputs, base::ThreadPool& pool) {
  const int64_t hidden_size = x.cols, intermediate = gate_up.cols / 2;
  HADAL_CHECK(order.offsets.size() == experts.size() + 1 && outputs.cols == hidden_size);
  std::vector<Chunk> chunks;
  for (size_t e = 0; e < experts.size(); ++e) add_chunks(order, e, chunks);
  pool.run(static_cast<int64_t>(chunks.size()), [&](int64_t task, int) {
    const Chunk& chunk = chunks[static_cast<size_t>(task)];
    const ExpertMlp& expert = experts[chunk.expert];
    const int64_t rows = chunk.end - chunk.begin;
    Scratch& s = scratch();
    s.x.resize(kChunkRows * hidden_size);
    s.hidden.resize(kChunkRows * intermediate);
    const auto inputs = s.x.view(rows, hidden_size);
    const auto hidden = s.hidden.view(rows, intermediate);
    const auto pre = gate_up.slice_rows(chunk.begin, rows);
    const auto out = outputs.slice_rows(chunk.begin, rows);
    gather(order, x, chunk.begin, inputs);
    kernels::gemm(kernels::gemm_nt(inputs.data, inputs.stride, expert.gate_up.data, expert.gate_up.stride,
                                   pre.data, pre.stride, rows, 2 * intermediate, hidden_size));
    for (const LowRank& adapter : expert.gate_up_adapters) low_rank(adapter, inputs, pre, nullptr);
    for (int64_t i = 0; i < rows; ++i) {
      kernels::swiglu(pre.row(i), pre.row(i) + intermediate, hidden.row(i), intermediate);
    }
    kernels::gemm(kernels::gemm_nt(hidden.data, hidden.stride, expert.down.data, expert.down.stride, out.data,
                                   out.stride, rows, hidden_size, intermediate));
    for (const LowRank& adapter : expert.down_adapters) low_rank(adapter, hidden, out, nullptr);
  });
}

void expert_mlp_backward(const ExpertOrder& order, std::span<const ExpertMlp> experts, ConstMatrix x,
                         ConstMatrix weights, ConstMatrix dout, Matrix gate_up, Matrix dslots,
                         Matrix dweights, base::ThreadPool& pool) {
  const int64_t hidden_size = x.cols, intermediate = gate_up.cols / 2;
  HADAL_CHECK(order.offsets.size() == experts.size() + 1 && dslots.cols == hidden_size);
  HADAL_CHECK(weights.stride == weights.cols && dweights.stride == dweights.cols);
  const std::vector<size_t> busy = experts_by_load(order);
  // A task is a whole expert: the chunks of one weight's gradient are added in their order.
  pool.run(static_cast<int64_t>(busy.size()), [&](int64_t task, int) {
    const size_t e = busy[static_cast<size_t>(task)];
    const ExpertMlp& expert = experts[e];
    Scratch& s = scratch();
    for (auto* buffer : {&s.x, &s.dout}) buffer->resize(kChunkRows * hidden_size);
    for (auto* buffer : {&s.hidden, &s.dhidden}) buffer->resize(kChunkRows * intermediate);
    std::vector<Chunk> chunks;
    add_chunks(order, e, chunks);
    for (const Chunk& chunk : chunks) {
      const int64_t begin = chunk.begin, rows = chunk.end - chunk.begin;
      const auto inputs = s.x.view(rows, hidden_size);
      const auto dy = s.dout.view(rows, hidden_size);
      const auto hidden = s.hidden.view(rows, intermediate);
      const auto dhidden = s.dhidden.view(rows, intermediate);
      const auto pre = gate_up.slice_rows(begin, rows);
      const auto dx = dslots.slice_rows(begin, rows);
      gather(order, x, begin, inputs);
      gather(order, dout, begin, dy);
      kernels::gemm(kernels::gemm_nn(dy.data, dy.stride, expert.down.data, expert.down.stride, dhidden.data,
                                     dhidden.stride, rows, intermediate, hidden_size));
      for (const LowRank& adapter : expert.down_adapters) add_input_gradient(adapter, dy, dhidden);
      for (int64_t i = 0; i < rows; ++i) {
        // dhidden is still without the routing weight: dot(dout, down(h)) = dot(down^T dout, h).
        const auto choice = order.slot_choice[static_cast<size_t>(begin + i)];
        const float weight = weights.data[choice];
        kernels::swiglu(pre.row(i), pre.row(i) + intermediate, hidden.row(i), intermediate);
        dweights.data[choice] = kernels::dot(dhidden.row(i), hidden.row(i), intermediate);
        kernels::scale(weight, hidden.row(i), intermediate);
        kernels::scale(weight, dhidden.row(i), intermediate);
        kernels::swiglu_backward(pre.row(i), pre.row(i) + intermediate, dhidden.row(i), pre.row(i),
                                 pre.row(i) + intermediate, intermediate);
      }
      add_weight_gradient(dy, hidden, expert.d_down);
      for (const LowRank& adapter : expert.down_adapters) {
        low_rank_backward_weight(adapter, hidden, dy, inner_of(adapter, rows), nullptr);
      }
      add_weight_gradient(pre, inputs, expert.d_gate_up);
      kernels::gemm(kernels::gemm_nn(pre.data, pre.stride, expert.gate_up.data, expert.gate_up.stride,
                                     dx.data, dx.stride, rows, hidden_size, 2 * intermediate));
      for (const LowRank& adapter : expert.gate_up_adapters) {
        const Matrix inner = inner_of(adapter, rows);
        low_rank_backward_weight(adapter, inputs, pre, inner, nullptr);
        low_rank_backward_input(adapter, inner, dx, nullptr);
      }
    }
  });
}

}  // namespace hadal::ops
