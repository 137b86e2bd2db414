// Writes a plan's tensors to a GGUF file or a Hugging Face directory, a few megabytes at a time.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/thread_pool.h"
#include "format/gguf_writer.h"
#include "model/export/export_plan.h"

namespace hadal::model {

// Where the values come from: a checkpoint (checkpoint_filler.h), or chance (random_filler.h).
class TensorFiller {
 public:
  virtual ~TensorFiller() = default;
  // Called once for each tensor, before its rows are asked for.
  virtual void begin(const PlannedTensor& tensor) = 0;
  // Rows [first, first + count) in tensor.format into `bytes`. fp8_block: whole rows of blocks, and their
  // scales into `scales` [ceil(count / 128), ceil(cols / 128)]. From several threads at once, of one tensor.
  virtual void fill(const PlannedTensor& tensor, int64_t first, int64_t count, std::byte* bytes,
                    float* scales) const = 0;
};

// Called after each few megabytes with the bytes written so far and in all; what it throws ends the writing.
using ExportProgress = std::function<void(int64_t done, int64_t total)>;

struct ExportTools {
  base::ThreadPool& pool;
  ExportProgress progress;  // may be empty
};

// Writes aside, syncs and renames. `metadata` sets the file's keys.
void write_gguf(const std::string& path, const ExportPlan& plan,
                const std::function<void(format::GgufWriter&)>& metadata, TensorFiller& filler,
                const ExportTools& tools);

// model.safetensors, or shards of at most `shard_bytes` (but for one larger tensor) and their index, into an
// existing folder.
inline constexpr int64_t kShardBytes = 5'000'000'000;
void write_hf_weights(const std::string& directory, const ExportPlan& plan, TensorFiller& filler,
                      const ExportTools& tools, int64_t shard_bytes = kShardBytes);

}  // namespace hadal::model
