// WordNet 3.0's database files (wndb(5WN)): words, senses in order of frequency, glosses, relations,
// irregular forms.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace hadal::train::corpus {

enum class PartOfSpeech : uint8_t { kNoun, kVerb, kAdjective, kAdverb };

struct Synset {
  PartOfSpeech pos;
  std::vector<std::string> words;     // underscores as spaces, syntactic markers such as (p) removed
  std::string definition;             // the gloss before its first example
  std::vector<std::string> examples;  // without quotation marks
  std::vector<int32_t> hypernyms;     // indices into WordNet::synsets
  std::vector<int32_t> hyponyms;
  struct Antonym {
    int32_t synset;
    int16_t source_word, target_word;  // 0-based in the two synsets' words; -1: the whole synset
  };
  std::vector<Antonym> antonyms;
};

struct Word {
  std::vector<int32_t> senses[4];  // per PartOfSpeech, most frequent first
  int32_t tag_count[4] = {};       // how often each part of speech occurs in WordNet's tagged texts
};

class WordNet {
 public:
  // `directory` holds data.noun, index.noun, noun.exc, cntlist.rev, ... Throws Error{kIo} or Error{kBadInput}
  // naming file and line.
  static WordNet load(const std::string& directory);

  const std::vector<Synset>& synsets() const { return synsets_; }
  const std::unordered_map<std::string, Word>& words() const { return words_; }
  const Word* find(const std::string& lemma) const;
  // Irregular forms: lemma -> form ("goose" -> "geese"); empty when regular.
  const std::string& irregular(PartOfSpeech pos, const std::string& lemma) const;

 private:
  void load_data(const std::string& path, PartOfSpeech pos);
  void load_index(const std::string& path, PartOfSpeech pos);
  void load_exceptions(const std::string& path, PartOfSpeech pos);
  void load_counts(const std::string& path);

  std::vector<Synset> synsets_;
  std::unordered_map<std::string, Word> words_;
  std::unordered_map<int64_t, int32_t> by_offset_;  // pos and byte offset -> index
  std::unordered_map<std::string, std::string> exceptions_[4];
};

// "noun", "verb", "adjective", "adverb".
std::string_view pos_name(PartOfSpeech pos);

}  // namespace hadal::train::corpus
