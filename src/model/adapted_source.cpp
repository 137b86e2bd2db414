#include "model/adapted_source.h"

#include <algorithm>

#include "base/error.h"
#include "base/thread_pool.h"
#include "model/export/checkpoint_filler.h"

namespace hadal::model {

namespace {

constexpr std::string_view kKvB = "kv_b_proj.weight";

// The name with its end, `from`, replaced; empty when it ends otherwise.
std::string with_end(const std::string& name, std::string_view from, std::string_view to) {
  if (!name.ends_with(from)) return {};
  return name.substr(0, name.size() - from.size()).append(to);
}

// GGUF's halves of a kv_b_proj, as GgufSource names them.
std::string kv_b_of_half(const std::string& name) {
  for (const std::string_view half : {"k_b_proj.weight", "v_b_proj.weight"}) {
    if (name.ends_with(std::string("self_attn.").append(half))) return with_end(name, half, kKvB);
  }
  return {};
}

// Llama's q or k of a GGUF file: row 2 i + j of a head is the checkpoint's j * size / 2 + i.
void to_interleaved(int64_t head_dim, int64_t cols, std::vector<float>& w) {
  std::vector<float> head(static_cast<size_t>(head_dim * cols));
  for (float* rows = w.data(); rows < w.data() + w.size(); rows += head_dim * cols) {
    std::copy_n(rows, head.size(), head.data());
    for (int64_t r = 0; r < head_dim; ++r) {
      const int64_t from = r % 2 * (head_dim / 2) + r / 2;
      std::copy_n(head.data() + from * cols, cols, rows + r * cols);
    }
  }
}

}  // namespace

AdaptedSource::AdaptedSource(std::unique_ptr<const format::TensorSource> source, const ModelConfig& config,
                             Adapter adapter)
    : source_(std::move(source)), config_(config), adapter_(std::move(adapter)) {
  adapter_.check_fits(config_, source_->path());
}

const std::vector<float>& AdaptedSource::merged(const Adapter::Part& part, const std::string& name) const {
  const std::lock_guard lock(mutex_);
  auto [it, is_new] = merged_.try_emplace(name);
  std::vector<float>& w = it->second;
  if (!is_new) return w;
  const LoraModule& m = part.module;
  w.resize(static_cast<size_t>(m.rows * m.cols));
  // As a Hugging Face checkpoint has it, whatever the source's own layout.
  CheckpointFiller filler(*source_, config_, /*to_gguf=*/false, nullptr);
  const PlannedTensor tensor{name, {m.rows, m.cols}, &quant::weight_format(quant::WeightType::kF32), name};
  try {
    filler.begin(tensor);
    filler.fill(tensor, 0, m.rows, reinterpret_cast<std::byte*>(w.data()), nullptr);
  } catch (...) {
    merged_.erase(it);
    throw;
  }
  base::ThreadPool pool(1);
  Adapter::add_to(part, adapter_.scale(), w.data(), pool);
  const bool rotated = config_.model_type == "llama" && config_.rope_interleave &&
                       (name.ends_with("q_proj.weight") || name.ends_with("k_proj.weight"));
  if (rotated) to_interleaved(config_.head_dim, m.cols, w);
  return w;
}

std::optional<format::StoredTensor> AdaptedSource::find(const std::string& name) const {
  const auto part_of = [&](const std::string& weight) -> const Adapter::Part* {
    const auto it = adapter_.parts().find(with_end(weight, ".weight", ""));
    return it == adapter_.parts().end() ? nullptr : &it->second;
  };
  // Where kv_b_proj is adapted it is whole, and its halves are not there.
  if (const std::string whole = kv_b_of_half(name); !whole.empty() && part_of(whole) != nullptr) {
    return std::nullopt;
  }
  const Adapter::Part* part = part_of(name);
  if (part == nullptr) return source_->find(name);
  const std::vector<float>& w = merged(*part, name);
  format::StoredTensor tensor;
  tensor.format = &quant::weight_format(quant::WeightType::kF32);
  tensor.shape = {part->module.rows, part->module.cols};
  tensor.bytes = std::as_bytes(std::span(w));
  return tensor;
}

void AdaptedSource::refuse_unused(const std::set<std::string>& used, const std::string& ignored) const {
  std::set<std::string> all = used;
  for (const auto& [module, part] : adapter_.parts()) {
    const std::string prefix = with_end(module, "kv_b_proj", "");
    if (!prefix.empty()) all.insert({prefix + "k_b_proj.weight", prefix + "v_b_proj.weight"});
  }
  source_->refuse_unused(all, ignored);
}

}  // namespace hadal::model
