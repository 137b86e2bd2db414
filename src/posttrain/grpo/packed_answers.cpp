#include "posttrain/grpo/packed_answers.h"

#include <algorithm>
#include <numeric>

#include "base/error.h"

namespace hadal::posttrain {

namespace {

struct Row {
  int64_t used = 0;
  std::vector<size_t> members;
};

std::vector<Row> fill_rows(std::span<const Trajectory> all, int64_t row_tokens) {
  std::vector<size_t> order(all.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return all[a].tokens() > all[b].tokens(); });
  std::vector<Row> rows;
  size_t open = 0;  // rows before it have no room for the shortest
  for (const size_t i : order) {
    const int64_t tokens = all[i].tokens();
    size_t r = open;
    while (r < rows.size() && rows[r].used + tokens > row_tokens) ++r;
    if (r == rows.size()) rows.emplace_back();
    rows[r].used += tokens;
    rows[r].members.push_back(i);
    const int64_t shortest = all[order.back()].tokens();
    while (open < rows.size() && rows[open].used + shortest > row_tokens) ++open;
  }
  return rows;
}

// Row `row` of the batch.
void write_row(std::span<const Trajectory> all, const Row& members, int64_t row, PackedAnswers& out) {
  train::PackedBatch& batch = out.batch;
  int32_t* tokens = batch.tokens.data() + row * (batch.length + 1);
  int32_t* start = batch.document_start.data() + row * batch.length;
  int64_t at = 0;
  for (const size_t i : members.members) {
    const Trajectory& t = all[i];
    const auto prompt = static_cast<int64_t>(t.prompt.size());
    std::copy(t.prompt.begin(), t.prompt.end(), tokens + at);
    std::copy(t.answer->tokens.begin(), t.answer->tokens.end(), tokens + at + prompt);
    const int64_t end = at + t.tokens();
    std::fill(start + at, start + std::min(end, batch.length), static_cast<int32_t>(at));
    out.trajectories.push_back(i);
    const int64_t first = row * batch.length + at + prompt - 1;  // the input before predicts a token
    out.first.push_back(first);
    std::copy(t.answer->tokens.begin(), t.answer->tokens.end(), out.targets.begin() + first);
    at = end;
  }
  if (at < batch.length) std::fill(start + at, start + batch.length, static_cast<int32_t>(at));
}

}  // namespace

std::vector<PackedAnswers> pack_answers(std::span<const Trajectory> trajectories, int64_t row_tokens,
                                        int64_t micro_tokens) {
  for (const Trajectory& t : trajectories) {
    HADAL_CHECK(!t.prompt.empty() && !t.answer->tokens.empty());
    row_tokens = std::max(row_tokens, t.tokens());
  }
  const std::vector<Row> rows = fill_rows(trajectories, row_tokens);
  const int64_t most = std::max<int64_t>(1, micro_tokens / row_tokens);  // rows of a batch
  std::vector<PackedAnswers> batches;
  for (size_t begin = 0; begin < rows.size(); begin += static_cast<size_t>(most)) {
    const int64_t count = std::min(most, static_cast<int64_t>(rows.size() - begin));
    PackedAnswers& out = batches.emplace_back();
    out.batch.rows = count;
    out.batch.length = row_tokens - 1;  // the last token of a row is a target only
    out.batch.tokens.assign(static_cast<size_t>(count * row_tokens), 0);
    out.batch.document_start.assign(static_cast<size_t>(count * out.batch.length), 0);
    out.targets.assign(static_cast<size_t>(count * out.batch.length), -1);
    for (int64_t r = 0; r < count; ++r) write_row(trajectories, rows[begin + static_cast<size_t>(r)], r, out);
  }
  return batches;
}

}  // namespace hadal::posttrain
