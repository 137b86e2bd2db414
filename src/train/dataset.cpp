#include "train/dataset.h"

#include <xxhash.h>

#include <cstring>
#include <filesystem>

#include "base/error.h"

namespace hadal::train {

namespace {

constexpr char kMagic[8] = {'H', 'A', 'D', 'A', 'L', 'T', 'O', 'K'};
constexpr uint32_t kVersion = 1;

// Little-endian, as every machine that Hadal runs on. 64 bytes, so that the payload is aligned for any dtype.
struct Header {
  char magic[8];
  uint32_t version;
  uint32_t bytes_per_token;  // 2 or 4
  uint64_t tokens;
  uint64_t documents;
  uint64_t text_bytes;
  uint64_t checksum;  // XXH3-64 of everything after the header
  uint32_t vocab_size;
  uint32_t reserved[3];  // zero
};
static_assert(sizeof(Header) == 64);

uint64_t padded(uint64_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

TokenDataset TokenDataset::open(const std::string& path) {
  std::string file = path;
  if (std::filesystem::is_directory(path)) file = (std::filesystem::path(path) / kTrainShard).string();
  TokenDataset out;
  out.file_ = base::MappedFile(file);
  const std::span<const std::byte> bytes = out.file_.bytes();
  const auto bad = [&](const std::string& reason) {
    throw_error(ErrorCode::kBadInput, "[dataset] {}: {}; build it again with `hadal data build`", file,
                reason);
  };
  Header header;
  if (bytes.size() < sizeof header) bad(fmt::format("{} bytes, shorter than a header", bytes.size()));
  std::memcpy(&header, bytes.data(), sizeof header);
  if (std::memcmp(header.magic, kMagic, sizeof kMagic) != 0) bad("not a token shard");
  if (header.version != kVersion)
    bad(fmt::format("version {}, this program reads {}", header.version, kVersion));
  if (header.bytes_per_token != 2 && header.bytes_per_token != 4)
    bad(fmt::format("{} bytes a token, expected 2 or 4", header.bytes_per_token));
  // Counts come from the file: compare with what fits before multiplying.
  const uint64_t payload = bytes.size() - sizeof header;
  if (header.tokens > payload / header.bytes_per_token || header.documents > payload / sizeof(int64_t))
    bad(fmt::format("truncated: {} tokens do not fit in {} bytes", header.tokens, bytes.size()));
  const uint64_t token_bytes = padded(header.tokens * header.bytes_per_token);
  if (token_bytes + header.documents * sizeof(int64_t) != payload)
    bad(fmt::format("{} bytes, its header says {}", bytes.size(),
                    sizeof header + token_bytes + header.documents * sizeof(int64_t)));
  if (XXH3_64bits(bytes.data() + sizeof header, payload) != header.checksum) bad("checksum differs: damaged");

  out.tokens_ = bytes.data() + sizeof header;
  out.size_ = static_cast<int64_t>(header.tokens);
  out.bytes_per_token_ = static_cast<int>(header.bytes_per_token);
  out.text_bytes_ = static_cast<int64_t>(header.text_bytes);
  out.checksum_ = header.checksum;
  if (header.vocab_size == 0 || header.vocab_size > (1u << 30))
    bad(fmt::format("vocab size {}", header.vocab_size));
  out.vocab_size_ = static_cast<int32_t>(header.vocab_size);
  out.starts_ = {reinterpret_cast<const int64_t*>(out.tokens_ + token_bytes), header.documents};
  if ((header.tokens == 0) != (header.documents == 0)) bad("tokens without documents, or the reverse");
  for (size_t i = 0; i < out.starts_.size(); ++i) {
    const int64_t least = i == 0 ? 0 : out.starts_[i - 1] + 1;
    if (out.starts_[i] < least || out.starts_[i] >= out.size_ || (i == 0 && out.starts_[i] != 0))
      bad(fmt::format("document {} starts at token {}", i, out.starts_[i]));
  }
  for (int64_t i = 0; i < out.size_; ++i) {
    const int32_t id = out.at(i);
    if (id < 0 || id >= out.vocab_size_)
      bad(fmt::format("token {} is {}, vocab size {}", i, id, out.vocab_size_));
  }
  return out;
}

int32_t TokenDataset::at(int64_t i) const {
  HADAL_CHECK(i >= 0 && i < size_);
  if (bytes_per_token_ == 2) {
    uint16_t id;
    std::memcpy(&id, tokens_ + i * 2, sizeof id);
    return id;
  }
  int32_t id;
  std::memcpy(&id, tokens_ + i * 4, sizeof id);
  return id;
}

void TokenDataset::copy(int64_t offset, int64_t count, int32_t* out) const {
  HADAL_CHECK(offset >= 0 && count >= 0 && offset <= size_ && count <= size_ - offset);
  for (int64_t i = 0; i < count; ++i) out[i] = at(offset + i);
}

TokenShardWriter::TokenShardWriter(int32_t vocab_size) : vocab_size_(vocab_size) {
  HADAL_CHECK(vocab_size > 0);
}

void TokenShardWriter::add_document(std::span<const int32_t> ids, int64_t text_bytes) {
  if (ids.empty()) return;
  for (const int32_t id : ids) HADAL_CHECK(id >= 0 && id < vocab_size_);
  starts_.push_back(static_cast<int64_t>(tokens_.size()));
  tokens_.insert(tokens_.end(), ids.begin(), ids.end());
  text_bytes_ += text_bytes;
}

void TokenShardWriter::write(const std::string& path) const {
  std::string payload;
  const uint32_t bytes_per_token = vocab_size_ <= 65536 ? 2 : 4;
  payload.reserve(tokens_.size() * bytes_per_token + starts_.size() * sizeof(int64_t) + 8);
  for (const int32_t id : tokens_) {
    const auto narrow = static_cast<uint16_t>(id);
    if (bytes_per_token == 2)
      payload.append(reinterpret_cast<const char*>(&narrow), sizeof narrow);
    else
      payload.append(reinterpret_cast<const char*>(&id), sizeof id);
  }
  payload.resize(padded(payload.size()), '\0');
  payload.append(reinterpret_cast<const char*>(starts_.data()), starts_.size() * sizeof(int64_t));

  Header header{};
  std::memcpy(header.magic, kMagic, sizeof kMagic);
  header.version = kVersion;
  header.bytes_per_token = bytes_per_token;
  header.tokens = tokens_.size();
  header.documents = starts_.size();
  header.text_bytes = static_cast<uint64_t>(text_bytes_);
  header.checksum = XXH3_64bits(payload.data(), payload.size());
  header.vocab_size = static_cast<uint32_t>(vocab_size_);
  base::AtomicFile file(path);
  file.write(std::string_view(reinterpret_cast<const char*>(&header), sizeof header));
  file.write(payload);
  file.commit();
}

}  // namespace hadal::train
