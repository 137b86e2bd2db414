// Token shards: a corpus as token ids in a memory-mapped file (format: docs/formats/token-shard.md).
//
// A dataset directory, as `hadal data build` writes it:
//   train.bin                  shuffled documents of prose and dialogues, each  BOS tokens... EOS
//   validation.bin             prose documents that are not in train.bin
//   validation_dialogues.bin   dialogues about words and numbers that are not in train.bin
//   validation.txt             the text of validation.bin's documents, joined by "\n\n" (for `hadal eval
//   bpb`) tokenizer.json  manifest.json
#pragma once

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"

namespace hadal::train {

inline constexpr std::string_view kTrainShard = "train.bin";
inline constexpr std::string_view kValidationShard = "validation.bin";
inline constexpr std::string_view kValidationDialoguesShard = "validation_dialogues.bin";

// A shard, mapped read-only. Immutable: any thread may read. Movable.
class TokenDataset {
 public:
  // `path` is a shard file, or a dataset directory (then its train.bin). The whole file is checked: sizes,
  // checksum, every id below vocab_size, document starts ascending from 0. Throws Error{kIo} when it cannot
  // be read and Error{kBadInput} "[dataset] file: reason" when it is not a valid shard.
  static TokenDataset open(const std::string& path);

  int64_t size() const { return size_; }  // tokens, BOS and EOS included
  int64_t token_count() const { return size_; }
  int32_t at(int64_t i) const;  // 0 <= i < size()
  void copy(int64_t offset, int64_t count,
            int32_t* out) const;  // [offset, offset + count) within [0, size())
  std::span<const int64_t> document_starts() const { return starts_; }  // ascending; [0] is 0
  int64_t text_bytes() const { return text_bytes_; }  // UTF-8 bytes of the text, control tokens not counted
  int32_t vocab_size() const { return vocab_size_; }
  uint64_t checksum() const { return checksum_; }  // XXH3-64 of the payload: names the data in checkpoints

 private:
  base::MappedFile file_;
  const std::byte* tokens_ = nullptr;
  std::span<const int64_t> starts_;
  int64_t size_ = 0;
  int64_t text_bytes_ = 0;
  int32_t vocab_size_ = 0;
  int bytes_per_token_ = 2;
  uint64_t checksum_ = 0;
};

// Collects documents and writes one shard, atomically. Ids are stored in 2 bytes when vocab_size <= 65536,
// else 4.
class TokenShardWriter {
 public:
  explicit TokenShardWriter(int32_t vocab_size);
  // `ids` is a whole document, BOS first and EOS last; `text_bytes` is what its text had in UTF-8.
  void add_document(std::span<const int32_t> ids, int64_t text_bytes);
  int64_t tokens() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t documents() const { return static_cast<int64_t>(starts_.size()); }
  void write(
      const std::string& path) const;  // throws Error{kIo}; an older file stays valid until the new one is

 private:
  std::vector<int32_t> tokens_;
  std::vector<int64_t> starts_;
  int64_t text_bytes_ = 0;
  int32_t vocab_size_;
};

}  // namespace hadal::train
