#include "train/dataset.h"

#include <gtest/gtest.h>

#include <cstring>

#include "base/error.h"
#include "base/files.h"
#include "corpus_fixture.h"

namespace hadal::train {
namespace {

using corpus::TemporaryFolder;

std::string write_shard(const TemporaryFolder& folder, int32_t vocab_size) {
  TokenShardWriter writer(vocab_size);
  const std::vector<int32_t> first = {0, 5, vocab_size - 1, 1};
  const std::vector<int32_t> second = {0, 7, 1};
  writer.add_document(first, 9);
  writer.add_document(second, 4);
  const std::string path = folder / "train.bin";
  writer.write(path);
  return path;
}

std::string error_of(const std::string& path) {
  try {
    TokenDataset::open(path);
  } catch (const Error& e) {
    return e.what();
  }
  return "";
}

TEST(Dataset, RoundTripInTwoAndFourBytes) {
  for (const int32_t vocab_size : {4096, 65536, 65537, 129280}) {
    const TemporaryFolder folder;
    const TokenDataset dataset = TokenDataset::open(write_shard(folder, vocab_size));
    EXPECT_EQ(dataset.size(), 7);
    EXPECT_EQ(dataset.vocab_size(), vocab_size);
    EXPECT_EQ(dataset.text_bytes(), 13);
    std::vector<int32_t> all(7);
    dataset.copy(0, 7, all.data());
    EXPECT_EQ(all, (std::vector<int32_t>{0, 5, vocab_size - 1, 1, 0, 7, 1}));
    std::vector<int32_t> part(2);
    dataset.copy(5, 2, part.data());
    EXPECT_EQ(part, (std::vector<int32_t>{7, 1}));
    ASSERT_EQ(dataset.document_starts().size(), 2u);
    EXPECT_EQ(dataset.document_starts()[1], 4);
    EXPECT_EQ(std::filesystem::file_size(folder / "train.bin"), vocab_size <= 65536 ? 96u : 112u);
  }
}

TEST(Dataset, OpensADirectoryByItsTrainingShard) {
  const TemporaryFolder folder;
  write_shard(folder, 100);
  EXPECT_EQ(TokenDataset::open(folder / "").size(), 7);
}

TEST(Dataset, StaysValidWhenMoved) {
  const TemporaryFolder folder;
  TokenDataset first = TokenDataset::open(write_shard(folder, 100));
  const TokenDataset second = std::move(first);
  EXPECT_EQ(second.at(5), 7);
  EXPECT_EQ(second.document_starts()[1], 4);
}

TEST(Dataset, EmptyShardIsValid) {
  const TemporaryFolder folder;
  TokenShardWriter(50).write(folder / "empty.bin");
  EXPECT_EQ(TokenDataset::open(folder / "empty.bin").size(), 0);
}

TEST(Dataset, EveryTruncationIsRefused) {
  const TemporaryFolder folder;
  const std::string bytes = base::read_file(write_shard(folder, 100));
  for (size_t size = 0; size < bytes.size(); ++size) {
    folder.write("cut.bin", bytes.substr(0, size));
    EXPECT_NE(error_of(folder / "cut.bin"), "") << size << " bytes";
  }
  folder.write("cut.bin", bytes + "x");
  EXPECT_NE(error_of(folder / "cut.bin"), "");
}

TEST(Dataset, EveryFlippedBitIsRefused) {
  const TemporaryFolder folder;
  const std::string bytes = base::read_file(write_shard(folder, 100));
  for (size_t at = 0; at < bytes.size(); ++at) {
    // Bytes 32..39 are text_bytes, 48..51 vocab_size, 52..63 reserved: facts that nothing in the file can
    // contradict.
    if ((at >= 32 && at < 40) || at >= 48 ? at < 64 : false) continue;
    std::string damaged = bytes;
    damaged[at] = static_cast<char>(damaged[at] ^ 0x10);
    folder.write("bad.bin", damaged);
    EXPECT_NE(error_of(folder / "bad.bin").find("bad.bin"), std::string::npos) << "byte " << at;
  }
}

TEST(Dataset, CountsThatOverflowAreRefused) {
  const TemporaryFolder folder;
  const std::string bytes = base::read_file(write_shard(folder, 100));
  for (const size_t field : {16u, 24u}) {
    for (const uint64_t lie : {~uint64_t{0}, uint64_t{1} << 63, uint64_t{1} << 61, uint64_t{1} << 32}) {
      std::string damaged = bytes;
      std::memcpy(damaged.data() + field, &lie, sizeof lie);
      folder.write("bad.bin", damaged);
      EXPECT_NE(error_of(folder / "bad.bin").find("truncated"), std::string::npos) << field << " " << lie;
    }
  }
}

TEST(Dataset, IdsBeyondTheVocabularyAreRefused) {
  const TemporaryFolder folder;
  std::string bytes = base::read_file(write_shard(folder, 100));
  const uint32_t smaller = 50;  // the file holds id 99
  std::memcpy(bytes.data() + 48, &smaller, sizeof smaller);
  folder.write("bad.bin", bytes);
  EXPECT_NE(error_of(folder / "bad.bin").find("token 2 is 99, vocab size 50"), std::string::npos);
}

TEST(Dataset, MissingFileNamesIt) {
  EXPECT_NE(error_of("/nonexistent/train.bin").find("/nonexistent/train.bin"), std::string::npos);
}

}  // namespace
}  // namespace hadal::train
