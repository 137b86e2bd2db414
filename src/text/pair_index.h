// The words of a training text as symbols, with the count of every adjacent pair kept up to date under
// merges.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <vector>

#include "text/tokenizer.h"
#include "text/word_counts.h"

namespace hadal::text {

// A map from pairs of ids to dense numbers 0, 1, 2, ...
class PairSet {
 public:
  // True when the pair was not there yet.
  bool insert(TokenId left, TokenId right) {
    const size_t before = keys_.size();
    number(left, right);
    return keys_.size() > before;
  }

  uint32_t number(TokenId left, TokenId right);     // adds the pair when it is new
  int64_t find(TokenId left, TokenId right) const;  // -1 when it is not there
  size_t size() const { return keys_.size(); }
  TokenId left(size_t number) const { return static_cast<TokenId>(keys_[number] >> 32); }
  TokenId right(size_t number) const { return static_cast<TokenId>(keys_[number] & 0xFFFFFFFFu); }

 private:
  size_t slot_of(uint64_t key) const;
  void grow();

  std::vector<uint64_t> keys_;   // [size]
  std::vector<uint32_t> slots_;  // number + 1, or 0 where empty; a power of two long
};

class PairIndex {
 public:
  void add_word(const WordCount& word, const std::array<TokenId, 256>& byte_ids);

  int64_t count(TokenId left, TokenId right) const;

  template <typename Fn>
  void each(const Fn& fn) const {
    for (size_t i = 0; i < pairs_.size(); ++i) fn(pairs_.left(i), pairs_.right(i), counts_[i]);
  }

  // Replaces left, right by `merged` in every word, and calls on_grown for each pair that became more
  // frequent.
  void merge(TokenId left, TokenId right, TokenId merged,
             const std::function<void(TokenId left, TokenId right, int64_t count)>& on_grown);

 private:
  struct Word {
    uint32_t begin;   // in symbols_
    uint32_t length;  // symbols now; merges shorten it in place
    int64_t count;
  };
  // How the neighbours of a merged pair change, by neighbour; dense, so that each hash is looked up once a
  // merge.
  struct Neighbours {
    std::vector<int64_t> delta;  // [highest id + 1]
    std::vector<uint32_t> pair;  // [highest id + 1]: the pair with `merged`
    std::vector<TokenId> touched;
  };
  void touch(Neighbours& side, TokenId neighbour, TokenId pair_left, TokenId pair_right, const Word& word,
             uint32_t word_index);
  uint32_t pair_number(TokenId left, TokenId right);
  void remember_word(uint32_t pair, uint32_t word_index);

  std::vector<TokenId> symbols_;
  std::vector<Word> words_;
  PairSet pairs_;
  std::vector<int64_t> counts_;               // [pairs]
  std::vector<std::vector<uint32_t>> where_;  // [pairs]: words that have, or had, the pair
  Neighbours before_;
  Neighbours after_;
};

}  // namespace hadal::text
