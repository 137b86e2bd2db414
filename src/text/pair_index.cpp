#include "text/pair_index.h"

#include <algorithm>

namespace hadal::text {

namespace {

uint64_t key_of(TokenId left, TokenId right) {
  return static_cast<uint64_t>(static_cast<uint32_t>(left)) << 32 | static_cast<uint32_t>(right);
}

}  // namespace

size_t PairSet::slot_of(uint64_t key) const {
  const size_t mask = slots_.size() - 1;
  const uint64_t mixed = key * 0x9E3779B97F4A7C15u;
  for (size_t at = (mixed ^ mixed >> 32) & mask;; at = (at + 1) & mask) {
    if (slots_[at] == 0 || keys_[slots_[at] - 1] == key) return at;
  }
}

void PairSet::grow() {
  slots_.assign(std::max<size_t>(1024, slots_.size() * 2), 0);
  for (size_t i = 0; i < keys_.size(); ++i) slots_[slot_of(keys_[i])] = static_cast<uint32_t>(i + 1);
}

uint32_t PairSet::number(TokenId left, TokenId right) {
  if ((keys_.size() + 1) * 2 > slots_.size()) grow();
  uint32_t& slot = slots_[slot_of(key_of(left, right))];
  if (slot == 0) {
    keys_.push_back(key_of(left, right));
    slot = static_cast<uint32_t>(keys_.size());
  }
  return slot - 1;
}

int64_t PairSet::find(TokenId left, TokenId right) const {
  return slots_.empty() ? -1 : static_cast<int64_t>(slots_[slot_of(key_of(left, right))]) - 1;
}

uint32_t PairIndex::pair_number(TokenId left, TokenId right) {
  const uint32_t pair = pairs_.number(left, right);
  if (pair == counts_.size()) {
    counts_.push_back(0);
    where_.emplace_back();
  }
  return pair;
}

void PairIndex::remember_word(uint32_t pair, uint32_t word_index) {
  if (where_[pair].empty() || where_[pair].back() != word_index) where_[pair].push_back(word_index);
}

void PairIndex::add_word(const WordCount& word, const std::array<TokenId, 256>& byte_ids) {
  if (word.word.size() < 2) return;  // nothing to merge
  const auto index = static_cast<uint32_t>(words_.size());
  words_.push_back(
      {static_cast<uint32_t>(symbols_.size()), static_cast<uint32_t>(word.word.size()), word.count});
  TokenId previous = -1;
  for (const char c : word.word) {
    const TokenId id = byte_ids[static_cast<uint8_t>(c)];
    symbols_.push_back(id);
    if (previous >= 0) {
      const uint32_t pair = pair_number(previous, id);
      counts_[pair] += word.count;
      remember_word(pair, index);
    }
    previous = id;
  }
}

int64_t PairIndex::count(TokenId left, TokenId right) const {
  const int64_t pair = pairs_.find(left, right);
  return pair < 0 ? 0 : counts_[static_cast<size_t>(pair)];
}

void PairIndex::touch(Neighbours& side, TokenId neighbour, TokenId pair_left, TokenId pair_right,
                      const Word& word, uint32_t word_index) {
  const auto at = static_cast<size_t>(neighbour);
  if (side.delta[at] == 0) {
    side.touched.push_back(neighbour);
    side.pair[at] = pair_number(pair_left, pair_right);
  }
  side.delta[at] += word.count;
  remember_word(side.pair[at], word_index);
}

void PairIndex::merge(TokenId left, TokenId right, TokenId merged,
                      const std::function<void(TokenId, TokenId, int64_t)>& on_grown) {
  const int64_t found = pairs_.find(left, right);
  if (found < 0) return;
  const auto pair = static_cast<size_t>(found);
  const std::vector<uint32_t> affected = std::move(where_[pair]);
  where_[pair].clear();
  const auto ids = static_cast<size_t>(std::max({left, right, merged})) + 1;
  for (Neighbours* side : {&before_, &after_}) {
    if (side->delta.size() < ids) {
      side->delta.resize(ids);
      side->pair.resize(ids);
    }
  }
  for (const uint32_t index : affected) {
    Word& word = words_[index];
    TokenId* symbols = symbols_.data() + word.begin;
    uint32_t out = 0;
    for (uint32_t i = 0; i < word.length;) {
      if (i + 1 < word.length && symbols[i] == left && symbols[i + 1] == right) {
        if (out > 0) touch(before_, symbols[out - 1], symbols[out - 1], merged, word, index);
        if (i + 2 < word.length) touch(after_, symbols[i + 2], merged, symbols[i + 2], word, index);
        symbols[out++] = merged;
        i += 2;
      } else {
        symbols[out++] = symbols[i++];
      }
    }
    word.length = out;
  }
  // Each touch took one (neighbour, left) or (right, neighbour) away and made one with `merged`. A pair that
  // two merges share ("abab": b, a between them) was made by the first and is taken away again by the second.
  for (const TokenId neighbour : before_.touched) {
    const int64_t delta = before_.delta[static_cast<size_t>(neighbour)];
    counts_[pair_number(neighbour, left)] -= delta;
    counts_[before_.pair[static_cast<size_t>(neighbour)]] += delta;
  }
  for (const TokenId neighbour : after_.touched) {
    const int64_t delta = after_.delta[static_cast<size_t>(neighbour)];
    counts_[pair_number(right, neighbour)] -= delta;
    counts_[after_.pair[static_cast<size_t>(neighbour)]] += delta;
  }
  counts_[pair] = 0;
  for (Neighbours* side : {&before_, &after_}) {
    for (const TokenId neighbour : side->touched) {
      const uint32_t grown = side->pair[static_cast<size_t>(neighbour)];
      side->delta[static_cast<size_t>(neighbour)] = 0;
      if (counts_[grown] > 0) on_grown(pairs_.left(grown), pairs_.right(grown), counts_[grown]);
    }
    side->touched.clear();
  }
}

}  // namespace hadal::text
