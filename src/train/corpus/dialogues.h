// Dialogues in turns, made by rules from WordNet, word counts and arithmetic, for a model too small to learn
// manners from prose. Dialogue number i is a pure function of (seed, i, side): any of them can be made again
// at any time.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "text/chat_template.h"
#include "train/corpus/wordnet.h"

namespace hadal::train::corpus {

inline constexpr int kDialogueVersion = 7;  // raised whenever a dialogue comes out differently

using Dialogue = std::vector<text::Message>;  // user and assistant in turn, assistant last

// Words and sums on the held-out side never occur in training dialogues, where an answer could be learnt by
// heart.
enum class DialogueSide { kTrain, kHeldOut };

struct DialogueOptions {
  int64_t words = 2500;    // the most frequent words that have a usable WordNet sense
  double held_out = 0.02;  // share of them (never the 500 most frequent) for kHeldOut
  uint64_t seed = 1;
};

class DialogueMaker {
 public:
  // `word_counts` are of lower-case words in the corpus. Without `wordnet` only the rules that need no
  // dictionary speak. Throws Error{kBadInput} when no word of the dictionary occurs in the corpus.
  DialogueMaker(const WordNet* wordnet, const std::unordered_map<std::string, int64_t>& word_counts,
                const DialogueOptions& options);
  ~DialogueMaker();
  DialogueMaker(DialogueMaker&&) noexcept;

  Dialogue make(uint64_t index, DialogueSide side) const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

std::unordered_map<std::string, int64_t> count_words(const std::vector<std::string_view>& texts);

}  // namespace hadal::train::corpus
