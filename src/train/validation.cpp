#include "train/validation.h"

#include <algorithm>
#include <cmath>

#include "train/batches.h"

namespace hadal::train {

std::vector<int32_t> token_text_bytes(const text::Tokenizer& tokenizer, int64_t vocab_size) {
  std::vector<int32_t> bytes(static_cast<size_t>(vocab_size), 0);
  const int32_t known = static_cast<int32_t>(std::min<int64_t>(vocab_size, tokenizer.vocab_size()));
  for (int32_t id = 0; id < known; ++id) {
    if (!tokenizer.is_special(id))
      bytes[static_cast<size_t>(id)] = static_cast<int32_t>(tokenizer.token_bytes(id).size());
  }
  return bytes;
}

ValidationResult validate(model::Transformer& model, const TokenDataset& dataset,
                          const std::vector<int32_t>& text_bytes, const ValidationOptions& options,
                          base::ThreadPool& pool) {
  PackingOptions packing;
  packing.sequence_tokens = options.sequence_tokens;
  packing.document_mask = options.document_mask;
  packing.seed = 0;
  PackedBatches batches(dataset, packing);
  const int64_t sequences = std::max<int64_t>(1, std::min(options.sequences, batches.rows_per_epoch()));

  ValidationResult result;
  PackedBatch batch;
  std::vector<float> nats;  // [rows * length]
  double all_nats = 0;
  double text_nats = 0;
  for (int64_t done = 0; done < sequences;) {
    const int64_t rows = std::min(options.rows, sequences - done);
    batches.next(rows, batch);
    const model::LossResult loss = model.evaluate(batch.view(), {}, pool, &nats);
    add_load(loss.expert_load, result.load);
    for (int64_t row = 0; row < rows; ++row) {
      for (int64_t i = 0; i < batch.length; ++i) {
        const int32_t target = batch.tokens[static_cast<size_t>(row * (batch.length + 1) + i + 1)];
        const double n = nats[static_cast<size_t>(row * batch.length + i)];
        all_nats += n;
        if (text_bytes[static_cast<size_t>(target)] > 0) {
          text_nats += n;
          result.bytes += text_bytes[static_cast<size_t>(target)];
        }
      }
    }
    result.tokens += rows * batch.length;
    done += rows;
  }
  result.loss = all_nats / static_cast<double>(result.tokens);
  result.bpb = result.bytes > 0 ? text_nats / (std::log(2.0) * static_cast<double>(result.bytes)) : 0;
  result.max_violation = max_violation(result.load);
  return result;
}

}  // namespace hadal::train
