#include "text/tokenizer_builder.h"

#include <algorithm>

#include "text/byte_alphabet.h"

namespace hadal::text {

namespace {

// Far above any real vocabulary; keeps a lying id from claiming gigabytes.
constexpr int64_t kMaxVocab = 1 << 21;

}  // namespace

TokenId TokenizerBuilder::checked(int64_t id, std::string_view token) const {
  if (id < 0 || id >= kMaxVocab) bad("token {}: id {} is outside 0..{}", token, id, kMaxVocab - 1);
  return static_cast<TokenId>(id);
}

void TokenizerBuilder::reserve_ids(int64_t vocab_size) {
  if (vocab_size < 0 || vocab_size > kMaxVocab) bad("{} tokens are more than {}", vocab_size, kMaxVocab);
  if (static_cast<size_t>(vocab_size) > parts.tokens.size())
    parts.tokens.resize(static_cast<size_t>(vocab_size));
}

void TokenizerBuilder::place(TokenId id, std::string bytes, std::string_view token) {
  const auto index = static_cast<size_t>(id);
  if (index >= parts.tokens.size()) parts.tokens.resize(index + 1);
  if (!parts.tokens[index].empty()) bad("id {} belongs to two tokens, one is {}", id, token);
  parts.tokens[index] = std::move(bytes);
}

void TokenizerBuilder::token(std::string_view spelled, int64_t id) {
  if (spelled.empty()) bad("the vocabulary has an empty token");
  const TokenId checked_id = checked(id, spelled);
  // A token that is not spelled in the byte alphabet (a control token) stands for its own text.
  place(checked_id, alphabet_to_bytes(spelled).value_or(std::string(spelled)), spelled);
  if (!vocabulary_.emplace(spelled, checked_id).second)
    bad("token {} stands twice in the vocabulary", spelled);
}

void TokenizerBuilder::bytes() {
  for (size_t byte = 0; byte < 256; ++byte) {
    const auto found = vocabulary_.find(byte_characters()[byte]);
    if (found == vocabulary_.end() && !never_in_utf8(byte)) {
      bad("byte 0x{:02x} ({}) has no token", byte, byte_characters()[byte]);
    }
    parts.byte_ids[byte] = found == vocabulary_.end() ? -1 : found->second;
  }
}

void TokenizerBuilder::added(AddedToken token, int64_t id) {
  token.id = checked(id, token.content);
  if (!added_.emplace(token.content, token.id).second) bad("added token {} stands twice", token.content);
  const auto in_vocabulary = vocabulary_.find(token.content);
  if (in_vocabulary == vocabulary_.end()) {
    place(token.id, token.content, token.content);
  } else if (in_vocabulary->second != token.id) {
    bad("added token {} has id {} here and {} in the vocabulary", token.content, token.id,
        in_vocabulary->second);
  }
  const auto index = static_cast<size_t>(token.id);
  parts.tokens[index] = token.content;
  is_added_.resize(std::max(is_added_.size(), index + 1));
  is_added_[index] = true;
  parts.added.push_back(std::move(token));
}

void TokenizerBuilder::expect_merges(size_t count) {
  if (count > static_cast<size_t>(INT32_MAX)) bad("too many merges");
  parts.merges = MergeTable(count);
}

TokenId TokenizerBuilder::merge_part(const std::string& token) const {
  const auto found = vocabulary_.find(token);
  if (found == vocabulary_.end()) bad("merge {}: \"{}\" is not in the vocabulary", rank_, token);
  return found->second;
}

void TokenizerBuilder::merge(std::string_view left, std::string_view right) {
  const std::string joined = std::string(left) + std::string(right);
  const TokenId id = merge_part(joined);
  if (static_cast<size_t>(id) < is_added_.size() && is_added_[static_cast<size_t>(id)]) {
    bad("merge {} would turn plain text into the added token {}", rank_, joined);
  }
  parts.merges.insert(merge_part(std::string(left)), merge_part(std::string(right)),
                      {static_cast<int32_t>(rank_), id});
  ++rank_;
}

}  // namespace hadal::text
