#include "posttrain/packing.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"
#include "base/random.h"

namespace hadal::posttrain {

namespace {

constexpr size_t kOpenRows = 64;  // more would fill rows a little better, and order epochs by length
constexpr int32_t kPadding = 0;   // any id: nothing sees it and it predicts nothing

int64_t positions_of(const Sample& sample) { return static_cast<int64_t>(sample.tokens.size()) - 1; }

}  // namespace

RowPlan plan_rows(std::span<const Sample> samples, std::span<const int32_t> order, int64_t capacity) {
  RowPlan rows;
  struct Open {
    size_t row;
    int64_t room;
  };
  std::vector<Open> open;
  for (const int32_t index : order) {
    const int64_t size = positions_of(samples[static_cast<size_t>(index)]);
    HADAL_CHECK(size > 0 && size <= capacity);
    auto place = std::find_if(open.begin(), open.end(), [&](const Open& o) { return o.room >= size; });
    if (place == open.end()) {
      // The fullest row makes way.
      if (open.size() == kOpenRows) {
        open.erase(std::min_element(open.begin(), open.end(),
                                    [](const Open& a, const Open& b) { return a.room < b.room; }));
      }
      open.push_back({rows.size(), capacity});
      rows.emplace_back();
      place = open.end() - 1;
    }
    rows[place->row].push_back(index);
    place->room -= size;
  }
  return rows;
}

void fill_batch(std::span<const Sample> samples, std::span<const std::vector<int32_t>> rows,
                SampleBatch& batch) {
  batch.rows = static_cast<int64_t>(rows.size());
  batch.length = 1;
  batch.learned = batch.used = 0;
  for (const auto& row : rows) {
    int64_t length = 0;
    for (const int32_t index : row) length += positions_of(samples[static_cast<size_t>(index)]);
    batch.length = std::max(batch.length, length);
    batch.used += length;
  }
  const auto length = static_cast<size_t>(batch.length);
  batch.tokens.assign(rows.size() * (length + 1), kPadding);
  batch.targets.assign(rows.size() * length, -1);
  batch.document_start.assign(rows.size() * length, 0);
  for (size_t r = 0; r < rows.size(); ++r) {
    int32_t* tokens = batch.tokens.data() + r * (length + 1);
    int32_t* targets = batch.targets.data() + r * length;
    int32_t* start = batch.document_start.data() + r * length;
    size_t at = 0;
    for (const int32_t index : rows[r]) {
      const Sample& sample = samples[static_cast<size_t>(index)];
      const auto begin = static_cast<int32_t>(at);
      for (size_t i = 0; i + 1 < sample.tokens.size(); ++i, ++at) {
        tokens[at] = sample.tokens[i];
        start[at] = begin;
        if (!sample.learn[i + 1]) continue;
        targets[at] = sample.tokens[i + 1];
        ++batch.learned;
      }
    }
    std::fill(start + at, start + length, static_cast<int32_t>(at));  // the padding
  }
}

SampleBatches::SampleBatches(std::span<const Sample> samples, int64_t sequence_tokens, uint64_t seed)
    : samples_(samples), sequence_tokens_(sequence_tokens), seed_(seed) {
  HADAL_CHECK(!samples.empty());
}

void SampleBatches::plan(int64_t epoch) {
  if (planned_ == epoch) return;
  std::vector<int32_t> order(samples_.size());
  std::iota(order.begin(), order.end(), 0);
  uint64_t mix = seed_;
  base::Random random(base::splitmix64(mix) + static_cast<uint64_t>(epoch));
  for (size_t i = order.size(); i > 1; --i) std::swap(order[i - 1], order[random.below(i)]);
  rows_ = plan_rows(samples_, order, sequence_tokens_);
  planned_ = epoch;
}

int64_t SampleBatches::rows_in_epoch(int64_t epoch) {
  plan(epoch);
  return static_cast<int64_t>(rows_.size());
}

void SampleBatches::next(int64_t rows, SampleBatch& batch) {
  std::vector<std::vector<int32_t>> chosen;
  while (static_cast<int64_t>(chosen.size()) < rows) {
    plan(position_.epoch);
    chosen.push_back(rows_[static_cast<size_t>(position_.piece)]);
    if (++position_.piece < static_cast<int64_t>(rows_.size())) continue;
    position_ = {position_.epoch + 1, 0, 0};
  }
  fill_batch(samples_, chosen, batch);
}

void SampleBatches::seek(const train::DataPosition& position) {
  if (position.epoch < 0 || position.piece < 0 || position.piece >= rows_in_epoch(position.epoch)) {
    throw_error(ErrorCode::kBadInput, "[sft] position epoch {}, row {} is outside the data", position.epoch,
                position.piece);
  }
  position_ = position;
}

}  // namespace hadal::posttrain
