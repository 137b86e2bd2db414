// The words that dialogues speak about: common in the corpus, with one clear sense in WordNet.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>
#include <vector>

#include "base/random.h"
#include "train/corpus/dialogues.h"
#include "train/corpus/wordnet.h"

namespace hadal::train::corpus {

struct LexiconEntry {
  std::string word;
  PartOfSpeech pos;
  std::string meaning;                // one short clause
  bool countable = false;             // a noun that takes "a"
  std::vector<std::string> synonyms;  // single common words
  std::vector<std::string> antonyms;
  std::vector<std::string> examples;  // whole sentences
  std::vector<std::string> kinds_of;  // common hypernyms, nearest first
  bool held_out = false;
  bool everyday = false;  // of everyday_words.h: spoken of more often, never held out
};

class Lexicon {
 public:
  Lexicon() = default;
  Lexicon(const WordNet& wordnet, const std::unordered_map<std::string, int64_t>& counts,
          const DialogueOptions& options);

  bool empty() const { return entries_.empty(); }
  const std::vector<LexiconEntry>& entries() const { return entries_; }
  const LexiconEntry* find(const std::string& word) const;

  // A word of the side, the frequent ones more often.
  const LexiconEntry& draw(base::Random& random, DialogueSide side) const;
  // Common single words that are kinds of `category` ("tree" -> oak, ...), and every category with at least
  // three.
  const std::vector<std::string>& members(const std::string& category) const;
  const std::vector<std::string>& categories() const { return categories_; }

 private:
  void add_entry(const WordNet& wordnet, const std::unordered_map<std::string, int64_t>& counts,
                 const std::string& word, const Word& senses);
  void add_everyday_words(const WordNet& wordnet);

  std::vector<LexiconEntry> entries_;  // most frequent first
  std::unordered_map<std::string, size_t> index_;
  std::unordered_map<std::string, std::vector<std::string>> members_;
  std::vector<std::string> categories_;
  std::vector<double> cumulative_[2];  // per side, over entries_
};

}  // namespace hadal::train::corpus
