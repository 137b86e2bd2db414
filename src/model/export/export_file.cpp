#include "model/export/export_file.h"

#include <algorithm>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "format/safetensors_writer.h"

namespace hadal::model {
namespace {

constexpr int64_t kTaskValues = 1 << 16;  // of one thread's piece
constexpr int64_t kSlabTasks = 64;        // pieces that are in memory at once

// Fills tensors piece by piece, in parallel, and hands their bytes on in order.
class Pieces {
 public:
  Pieces(const ExportPlan& plan, TensorFiller& filler, const ExportTools& tools)
      : filler_(filler), tools_(tools), total_(plan.bytes()) {}

  // `write` takes the bytes in order. Returns the scales of fp8_block.
  template <typename Write>
  std::vector<float> run(const PlannedTensor& tensor, Write&& write) {
    if (!tensor.constant.empty()) {
      const auto bytes = std::as_bytes(std::span(tensor.constant));
      write(bytes);
      advance(static_cast<int64_t>(bytes.size()));
      return {};
    }
    filler_.begin(tensor);
    const bool fp8 = tensor.format->block_scaled;
    const int64_t unit = fp8 ? quant::Fp8BlockShape{}.rows : 1;  // rows that stay together
    const int64_t rows = tensor.rows();
    const int64_t task_rows = std::max<int64_t>(1, kTaskValues / tensor.cols() / unit) * unit;
    const int64_t row_bytes = tensor.format->bytes(tensor.cols());
    const int64_t scale_cols = fp8 ? quant::fp8_block_count(tensor.cols(), quant::Fp8BlockShape{}.cols) : 0;
    std::vector<float> scales(static_cast<size_t>(quant::fp8_block_count(rows, unit) * scale_cols));
    for (int64_t slab = 0; slab < rows; slab += task_rows * kSlabTasks) {
      const int64_t slab_rows = std::min(rows - slab, task_rows * kSlabTasks);
      bytes_.resize(static_cast<size_t>(slab_rows * row_bytes));
      base::parallel_for(tools_.pool, slab_rows, task_rows, [&](int64_t begin, int64_t end) {
        filler_.fill(tensor, slab + begin, end - begin, bytes_.data() + begin * row_bytes,
                     fp8 ? scales.data() + (slab + begin) / unit * scale_cols : nullptr);
      });
      write(std::span<const std::byte>(bytes_));
      advance(static_cast<int64_t>(bytes_.size()));
    }
    if (fp8) advance(static_cast<int64_t>(scales.size() * sizeof(float)));
    return scales;
  }

 private:
  void advance(int64_t bytes) {
    done_ += bytes;
    if (tools_.progress) tools_.progress(done_, total_);
  }

  TensorFiller& filler_;
  const ExportTools& tools_;
  std::vector<std::byte> bytes_;
  int64_t done_ = 0;
  int64_t total_;
};

// The tensors of a file as safetensors names them: fp8_block's scales follow their weight.
std::vector<format::TensorSpec> specs(const PlannedTensor& tensor) {
  std::vector<format::TensorSpec> out = {{tensor.name, *tensor.format->dtype, tensor.shape}};
  if (tensor.format->block_scaled) {
    const quant::Fp8BlockShape block;
    out.push_back({tensor.name + "_scale_inv",
                   tensor::DType::kF32,
                   {quant::fp8_block_count(tensor.rows(), block.rows),
                    quant::fp8_block_count(tensor.cols(), block.cols)}});
  }
  return out;
}

// Which tensors go into which shard: [begin, end) of the plan's.
std::vector<std::pair<size_t, size_t>> shards(const ExportPlan& plan, int64_t shard_bytes) {
  std::vector<std::pair<size_t, size_t>> out;
  int64_t bytes = 0;
  for (size_t i = 0; i < plan.tensors.size(); ++i) {
    int64_t size = 0;
    for (const auto& spec : specs(plan.tensors[i])) size += spec.bytes();
    if (out.empty() || bytes + size > shard_bytes) {
      out.emplace_back(i, i);
      bytes = 0;
    }
    out.back().second = i + 1;
    bytes += size;
  }
  return out;
}

}  // namespace

void write_gguf(const std::string& path, const ExportPlan& plan,
                const std::function<void(format::GgufWriter&)>& metadata, TensorFiller& filler,
                const ExportTools& tools) {
  format::GgufWriter writer(path);
  metadata(writer);
  for (const auto& tensor : plan.tensors) writer.declare(tensor.name, tensor.shape, *tensor.format);
  writer.begin();
  Pieces pieces(plan, filler, tools);
  for (const auto& tensor : plan.tensors) {
    pieces.run(tensor, [&](std::span<const std::byte> bytes) { writer.write(bytes); });
  }
  writer.finish();
}

void write_hf_weights(const std::string& directory, const ExportPlan& plan, TensorFiller& filler,
                      const ExportTools& tools, int64_t shard_bytes) {
  const auto parts = shards(plan, shard_bytes);
  Pieces pieces(plan, filler, tools);
  base::Json map = base::Json::object();
  for (size_t part = 0; part < parts.size(); ++part) {
    const std::string file = parts.size() == 1
                                 ? "model.safetensors"
                                 : fmt::format("model-{:05}-of-{:05}.safetensors", part + 1, parts.size());
    std::vector<format::TensorSpec> all;
    for (size_t i = parts[part].first; i < parts[part].second; ++i) {
      for (auto& spec : specs(plan.tensors[i])) {
        map[spec.name] = file;
        all.push_back(std::move(spec));
      }
    }
    format::SafetensorsWriter writer(directory + "/" + file, all);
    for (size_t i = parts[part].first; i < parts[part].second; ++i) {
      const auto scales =
          pieces.run(plan.tensors[i], [&](std::span<const std::byte> bytes) { writer.write(bytes); });
      writer.write(std::as_bytes(std::span(scales)));
    }
    writer.finish();
  }
  if (parts.size() == 1) return;
  const base::Json index = {{"metadata", {{"total_size", plan.bytes()}}}, {"weight_map", map}};
  base::write_file_atomic(directory + "/model.safetensors.index.json", base::dump_json(index, 2) + "\n");
}

}  // namespace hadal::model
