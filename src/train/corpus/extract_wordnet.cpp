// WordNet as prose: for every noun or verb that has kinds of its own, one document that tells what the kinds
// are; adjectives and adverbs in small groups. Names of people, species and places are left to encyclopedias.
#include <cctype>

#include "train/corpus/extractor.h"
#include "train/corpus/wordnet.h"

namespace hadal::train::corpus {

namespace {

bool is_plain(const std::string& word) {
  for (const char c : word)
    if (!std::islower(static_cast<unsigned char>(c)) && c != ' ' && c != '-') return false;
  return true;
}

std::string with_article(const std::string& noun) {
  return (std::string_view("aeiou").find(noun[0]) != std::string_view::npos ? "an " : "a ") + noun;
}

std::string capitalised(std::string text) {
  if (!text.empty()) text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  return text;
}

bool ends_sentence(const std::string& text) {
  return !text.empty() && std::string_view(".!?").find(text.back()) != std::string_view::npos;
}

// "A foray is a sudden short attack. Other words for it are raid and maraud. For example: ..."
std::string describe(const Synset& synset) {
  const std::string& word = synset.words[0];
  std::string out;
  const std::string& definition = synset.definition;
  if (synset.pos == PartOfSpeech::kNoun && (definition.starts_with("a ") || definition.starts_with("an ")))
    out = capitalised(with_article(word)) + " is " + definition + ".";
  else if (synset.pos == PartOfSpeech::kNoun)
    out = capitalised(word) + " is " + definition + ".";
  else if (synset.pos == PartOfSpeech::kVerb)
    out = "To " + word + " is to " + definition + ".";
  else
    out = capitalised(word) + " means " + definition + ".";
  std::string others;
  for (size_t i = 1; i < synset.words.size() && i < 4; ++i)
    if (is_plain(synset.words[i])) others += (others.empty() ? "" : " or ") + synset.words[i];
  if (!others.empty()) out += " It is also called " + others + ".";
  for (size_t i = 0; i < synset.examples.size() && i < 2; ++i) {
    const std::string example = capitalised(synset.examples[i]);
    out += " " + example + (ends_sentence(example) ? "" : ".");
  }
  return out;
}

bool is_usable(const Synset& synset) {
  return !synset.words.empty() && is_plain(synset.words[0]) && !synset.definition.empty();
}

}  // namespace

void extract_wordnet(const ExtractInput& input, const DocumentSink& sink) {
  const WordNet wordnet = WordNet::load(input.path);
  const std::vector<Synset>& synsets = wordnet.synsets();
  std::string group;
  size_t group_start = 0;
  for (size_t i = 0; i < synsets.size(); ++i) {
    const Synset& synset = synsets[i];
    if (!is_usable(synset)) continue;
    if (synset.pos == PartOfSpeech::kAdjective || synset.pos == PartOfSpeech::kAdverb) {
      group += describe(synset) + "\n\n";
      if (i - group_start >= 12) {
        sink({"", "synsets/" + std::to_string(group_start), std::move(group)});
        group.clear();
        group_start = i;
      }
      continue;
    }
    group_start = i;
    if (synset.hyponyms.empty()) continue;
    std::string text = describe(synset) + "\n\n";
    int kinds = 0;
    for (const int32_t kind : synset.hyponyms) {
      if (!is_usable(synsets[static_cast<size_t>(kind)]) || ++kinds > 40) continue;
      text += describe(synsets[static_cast<size_t>(kind)]) + (kinds % 4 == 0 ? "\n\n" : " ");
    }
    if (kinds > 0) sink({"", "synsets/" + std::to_string(i), std::move(text)});
  }
  if (!group.empty()) sink({"", "synsets/" + std::to_string(group_start), std::move(group)});
}

}  // namespace hadal::train::corpus
