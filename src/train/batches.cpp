#include "train/batches.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace hadal::train {

PackedBatches::PackedBatches(const TokenDataset& dataset, const PackingOptions& options)
    : dataset_(dataset), options_(options), tokens_(dataset.size()) {
  if (tokens_ < 2) {
    throw_error(ErrorCode::kBadInput,
                "[data] the dataset is empty: {} tokens, nothing to train on; build it with "
                "`hadal data build`",
                tokens_);
  }
  const std::span<const int64_t> starts = dataset.document_starts();
  for (size_t d = 0; d < starts.size(); ++d) {
    const int64_t end = d + 1 < starts.size() ? starts[d + 1] : tokens_;
    const int64_t most = options_.piece_tokens > 0 ? options_.piece_tokens : end - starts[d];
    for (int64_t begin = starts[d]; begin < end; begin += most)
      pieces_.push_back({begin, std::min(most, end - begin)});
  }
  if (pieces_.size() > UINT32_MAX) {
    throw_error(ErrorCode::kUnsupported, "[data] {} pieces of documents, at most {}", pieces_.size(),
                UINT32_MAX);
  }
  shuffle(0);
}

void PackedBatches::shuffle(int64_t epoch) {
  if (order_epoch_ == epoch) return;
  order_.resize(pieces_.size());
  std::iota(order_.begin(), order_.end(), 0u);
  uint64_t mix = options_.seed;
  base::Random random(base::splitmix64(mix) + static_cast<uint64_t>(epoch));
  for (size_t i = order_.size(); i > 1; --i) std::swap(order_[i - 1], order_[random.below(i)]);
  order_epoch_ = epoch;
}

void PackedBatches::advance(DataPosition& position, int64_t tokens) {
  while (tokens > 0) {
    shuffle(position.epoch);
    const int64_t left = pieces_[order_[static_cast<size_t>(position.piece)]].size - position.offset;
    const int64_t taken = std::min(left, tokens);
    tokens -= taken;
    position.offset += taken;
    if (taken < left) return;
    position.offset = 0;
    if (++position.piece == static_cast<int64_t>(pieces_.size())) {
      position.piece = 0;
      ++position.epoch;
    }
  }
}

void PackedBatches::next(int64_t rows, PackedBatch& batch) {
  const int64_t length = options_.sequence_tokens;
  batch.rows = rows;
  batch.length = length;
  batch.tokens.resize(static_cast<size_t>(rows * (length + 1)));
  batch.document_start.resize(options_.document_mask ? static_cast<size_t>(rows * length) : 0);
  for (int64_t row = 0; row < rows; ++row) {
    int32_t* tokens = batch.tokens.data() + row * (length + 1);
    DataPosition cursor = position_;
    for (int64_t done = 0; done < length + 1;) {
      shuffle(cursor.epoch);
      const Piece& piece = pieces_[order_[static_cast<size_t>(cursor.piece)]];
      const int64_t count = std::min(piece.size - cursor.offset, length + 1 - done);
      dataset_.copy(piece.begin + cursor.offset, count, tokens + done);
      if (options_.document_mask) {
        int32_t* start = batch.document_start.data() + row * length;
        std::fill(start + done, start + std::min(done + count, length), static_cast<int32_t>(done));
      }
      done += count;
      advance(cursor, count);
    }
    advance(position_, length);
  }
}

void PackedBatches::seek(const DataPosition& position) {
  const bool valid = position.epoch >= 0 && position.piece >= 0 &&
                     position.piece < static_cast<int64_t>(pieces_.size()) && position.offset >= 0;
  if (!valid) {
    throw_error(ErrorCode::kBadInput,
                "[data] position epoch {}, piece {}, offset {} is outside this dataset of {} pieces",
                position.epoch, position.piece, position.offset, pieces_.size());
  }
  shuffle(position.epoch);
  const Piece& piece = pieces_[order_[static_cast<size_t>(position.piece)]];
  if (position.offset >= piece.size) {
    throw_error(ErrorCode::kBadInput, "[data] position offset {} is outside its piece of {} tokens",
                position.offset, piece.size);
  }
  position_ = position;
}

}  // namespace hadal::train
