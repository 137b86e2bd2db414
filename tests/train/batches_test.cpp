#include "train/batches.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "base/error.h"
#include "train/tiny_run.h"

namespace hadal::train {
namespace {

// Documents of consecutive numbers, so that every token says where it came from.
TokenDataset numbered(const test::TemporaryFolder& folder, const std::vector<int>& sizes) {
  TokenShardWriter writer(1 << 20);
  int32_t next = 0;
  for (const int size : sizes) {
    std::vector<int32_t> ids;
    for (int i = 0; i < size; ++i) ids.push_back(next++);
    writer.add_document(ids, size);
  }
  const std::string path = folder / "numbered.bin";
  writer.write(path);
  return TokenDataset::open(path);
}

TEST(PackedBatches, EveryTokenIsATargetOncePerEpoch) {
  const test::TemporaryFolder folder;
  const TokenDataset data = numbered(folder, {7, 30, 1, 12, 50});  // 100 tokens
  PackedBatches batches(data, {.sequence_tokens = 10, .piece_tokens = 8, .seed = 3});
  PackedBatch batch;
  std::multiset<int32_t> inputs;
  int32_t previous_last = -1;
  for (int i = 0; i < 5; ++i) {
    batches.next(2, batch);
    ASSERT_EQ(batch.tokens.size(), 22u);
    EXPECT_TRUE(batch.document_start.empty());
    for (int row = 0; row < 2; ++row) {
      const int32_t* tokens = batch.tokens.data() + row * 11;
      if (previous_last >= 0) {
        EXPECT_EQ(tokens[0], previous_last);
      }  // rows overlap by one token
      previous_last = tokens[10];
      inputs.insert(tokens, tokens + 10);
    }
  }
  ASSERT_EQ(inputs.size(), 100u);
  EXPECT_EQ(std::set<int32_t>(inputs.begin(), inputs.end()).size(), 100u);
  EXPECT_EQ(batches.position(), (DataPosition{1, 0, 0}));
}

TEST(PackedBatches, OrderDependsOnSeedAndEpochAlone) {
  const test::TemporaryFolder folder;
  const TokenDataset data = numbered(folder, {40, 40, 40, 40, 40});
  const auto read = [&](uint64_t seed, int skip) {
    PackedBatches batches(data, {.sequence_tokens = 50, .piece_tokens = 5, .seed = seed});
    PackedBatch batch;
    for (int i = 0; i <= skip; ++i) batches.next(4, batch);  // an epoch each
    return batch.tokens;
  };
  EXPECT_EQ(read(1, 0), read(1, 0));
  EXPECT_NE(read(1, 0), read(2, 0));
  EXPECT_NE(read(1, 0), read(1, 1));
}

TEST(PackedBatches, SeekingGoesOnWithTheVeryNextToken) {
  const test::TemporaryFolder folder;
  const TokenDataset data = numbered(folder, {7, 30, 1, 12, 53});
  const PackingOptions options{.sequence_tokens = 9, .piece_tokens = 8, .document_mask = true, .seed = 3};
  PackedBatches whole(data, options);
  PackedBatch expected;
  for (int i = 0; i < 40; ++i) {  // over three epochs
    const DataPosition position = whole.position();
    whole.next(1, expected);
    PackedBatches other(data, options);
    other.seek(position);
    PackedBatch batch;
    other.next(1, batch);
    ASSERT_EQ(batch.tokens, expected.tokens) << i;
    ASSERT_EQ(batch.document_start, expected.document_start) << i;
  }
}

TEST(PackedBatches, TheMaskNamesWhereEachDocumentBegins) {
  const test::TemporaryFolder folder;
  const TokenDataset data = numbered(folder, {4, 4, 4, 4});
  PackedBatches batches(data, {.sequence_tokens = 8, .piece_tokens = 0, .document_mask = true, .seed = 1});
  PackedBatch batch;
  batches.next(2, batch);
  EXPECT_EQ(batch.document_start, (std::vector<int32_t>{0, 0, 0, 0, 4, 4, 4, 4, 0, 0, 0, 0, 4, 4, 4, 4}));
}

TEST(PackedBatches, AnEmptyDatasetIsAnError) {
  const test::TemporaryFolder folder;
  const std::string path = folder / "empty.bin";
  TokenShardWriter(100).write(path);
  const TokenDataset data = TokenDataset::open(path);
  EXPECT_THROW(PackedBatches(data, {}), Error);
}

TEST(PackedBatches, APositionOutsideTheDatasetIsAnError) {
  const test::TemporaryFolder folder;
  const TokenDataset data = numbered(folder, {7, 30});
  PackedBatches batches(data, {.sequence_tokens = 9, .piece_tokens = 8});
  EXPECT_THROW(batches.seek({0, 5, 0}), Error);
  EXPECT_THROW(batches.seek({0, 0, 8}), Error);
  EXPECT_THROW(batches.seek({-1, 0, 0}), Error);
  EXPECT_THROW(batches.seek({0, 0, -1}), Error);
}

}  // namespace
}  // namespace hadal::train
