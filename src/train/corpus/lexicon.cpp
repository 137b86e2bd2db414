#include "train/corpus/lexicon.h"

#include <xxhash.h>

#include <algorithm>
#include <cctype>
#include <cmath>
#include <string_view>
#include <unordered_set>

#include "train/corpus/everyday_words.h"

namespace hadal::train::corpus {

namespace {

constexpr int64_t kLeastCount = 8;      // of a word that others are explained by
constexpr size_t kNeverHeldOut = 500;   // the most frequent words
constexpr double kEverydayWeight = 60;  // that of a word which occurs 28,000 times

// Words whose first WordNet sense is not what people mean by them (in: inch; us: the country; he: helium).
const std::unordered_set<std::string_view> kExcluded = {
    "the",    "and",   "for",     "are",   "was",    "were",  "been",  "have",   "has",    "had",
    "not",    "but",   "who",     "whom",  "that",   "this",  "these", "those",  "you",    "your",
    "his",    "her",   "him",     "its",   "they",   "them",  "their", "our",    "out",    "off",
    "over",   "under", "than",    "then",  "there",  "here",  "will",  "would",  "shall",  "should",
    "may",    "might", "must",    "can",   "could",  "with",  "from",  "into",   "upon",   "unto",
    "thou",   "thy",   "thee",    "hath",  "doth",   "does",  "did",   "done",   "being",  "what",
    "when",   "where", "which",   "while", "how",    "why",   "all",   "any",    "some",   "each",
    "every",  "both",  "few",     "more",  "most",   "other", "such",  "only",   "own",    "same",
    "too",    "very",  "just",    "about", "also",   "one",   "two",   "three",  "four",   "five",
    "six",    "seven", "eight",   "nine",  "ten",    "lay",   "nor",   "yet",    "per",    "let",
    "saw",    "she",   "himself", "sex",   "sexual", "whore", "rape",  "nigger", "slave",  "negro",
    "breast", "naked", "bastard", "bitch", "ass",    "cock",  "dick",  "fuck",   "shit",   "damn",
    "screw",  "make",  "made",    "get",   "got",    "take",  "set",   "going",  "having", "saying",
    "till",   "thus"};

// Categories too general to say anything about a thing.
const std::unordered_set<std::string_view> kVague = {"entity",
                                                     "object",
                                                     "thing",
                                                     "whole",
                                                     "unit",
                                                     "matter",
                                                     "substance",
                                                     "abstraction",
                                                     "attribute",
                                                     "group",
                                                     "relation",
                                                     "state",
                                                     "event",
                                                     "act",
                                                     "action",
                                                     "activity",
                                                     "measure",
                                                     "part",
                                                     "artifact",
                                                     "instrumentality",
                                                     "cause",
                                                     "causal agent",
                                                     "psychological feature",
                                                     "cognition",
                                                     "content",
                                                     "communication",
                                                     "change",
                                                     "happening",
                                                     "process",
                                                     "possession",
                                                     "structure",
                                                     "way",
                                                     "property",
                                                     "quality",
                                                     "idea",
                                                     "being",
                                                     "organism",
                                                     "agent",
                                                     "set",
                                                     "collection",
                                                     "point",
                                                     "piece",
                                                     "region",
                                                     "location",
                                                     "line"};

bool is_simple(std::string_view word) {
  return word.size() >= 3 && word.size() <= 12 &&
         std::all_of(word.begin(), word.end(), [](char c) { return c >= 'a' && c <= 'z'; });
}

bool is_ascii_text(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c >= 32 && c < 127 && c != '`'; });
}

int count_spaces(std::string_view text) {
  return static_cast<int>(std::count(text.begin(), text.end(), ' '));
}

// Whether `word` stands in `text` as a whole word, whatever the case of its first letter.
bool has_word(std::string_view text, std::string_view word) {
  for (size_t at = 0; at + word.size() <= text.size(); ++at) {
    if (std::tolower(static_cast<unsigned char>(text[at])) != word[0] ||
        text.substr(at + 1, word.size() - 1) != word.substr(1))
      continue;
    const bool left = at == 0 || !std::isalpha(static_cast<unsigned char>(text[at - 1]));
    const size_t end = at + word.size();
    if (left && (end == text.size() || !std::isalpha(static_cast<unsigned char>(text[end])))) return true;
  }
  return false;
}

// Whether a definition explains a word by a relative of it: "gradually: in a gradual manner".
bool is_circular(std::string_view meaning, std::string_view word) {
  const std::string_view stem = word.substr(0, std::max<size_t>(4, word.size() - 3));
  for (size_t at = meaning.find(stem); at != std::string_view::npos; at = meaning.find(stem, at + 1))
    if (at == 0 || meaning[at - 1] == ' ') return word.size() >= 4;
  return has_word(meaning, word);
}

// The first clause of a definition without its remarks in parentheses; empty when it is too long or odd.
std::string short_meaning(std::string_view definition, std::string_view word) {
  std::string out;
  int depth = 0;
  for (const char c : definition) {
    if (c == '(') ++depth;
    if (c == ';' && depth == 0) break;
    if (depth == 0 && !(c == ' ' && (out.empty() || out.back() == ' '))) out += c;
    if (c == ')') --depth;
  }
  while (!out.empty() && std::string_view(" ,:").find(out.back()) != std::string_view::npos) out.pop_back();
  const size_t space_comma = out.find(" ,");
  if (space_comma != std::string::npos) out.erase(space_comma, 1);
  if (out.size() < 4 || count_spaces(out) > 15 || !is_ascii_text(out) || is_circular(out, word)) return "";
  if (std::isupper(static_cast<unsigned char>(out[0]))) return "";
  return out;
}

// WordNet's examples are often fragments ("a big house"): keep what opens and runs like a sentence.
std::string whole_sentence(std::string text, std::string_view word) {
  if (!is_ascii_text(text) || !has_word(text, word)) return "";
  const int spaces = count_spaces(text);
  if (spaces < 3 || spaces > 13 || text.find(" - ") != std::string::npos ||
      text.find("--") != std::string::npos)
    return "";
  static const std::unordered_set<std::string_view> openers = {
      "the", "he", "she",  "they", "we",    "i",     "you",   "it",    "his",    "her", "their",
      "our", "my", "this", "that", "these", "those", "there", "don't", "please", "your"};
  std::string first = text.substr(0, text.find_first_of(" '"));
  const bool capital = std::isupper(static_cast<unsigned char>(text[0])) != 0;
  for (char& c : first) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  if (!openers.contains(first) && !capital) return "";
  static const std::unordered_set<std::string_view> verbs = {
      "is",  "are", "was",  "were", "has",  "have", "had",  "will", "would", "can",  "could", "must",
      "may", "did", "does", "do",   "went", "came", "made", "took", "gave",  "said", "got",   "am"};
  bool verb = first == "he" || first == "she" || first == "they" || first == "we" || first == "i" ||
              first == "it" || first == "you";
  for (size_t at = 0; at < text.size() && !verb;) {
    const size_t end = std::min(text.find(' ', at), text.size());
    const std::string_view part = std::string_view(text).substr(at, end - at);
    verb = verbs.contains(part) || (part.size() > 4 && part.ends_with("ed") && !part.ends_with("eed"));
    at = end + 1;
  }
  if (!verb) return "";
  text[0] = static_cast<char>(std::toupper(static_cast<unsigned char>(text[0])));
  if (std::string_view(".!?").find(text.back()) == std::string_view::npos) text += '.';
  return text;
}

int64_t count_of(const std::unordered_map<std::string, int64_t>& counts, const std::string& word) {
  const auto found = counts.find(word);
  return found == counts.end() ? 0 : found->second;
}

}  // namespace

std::unordered_map<std::string, int64_t> count_words(const std::vector<std::string_view>& texts) {
  std::unordered_map<std::string, int64_t> counts;
  std::string word;
  for (const std::string_view text : texts) {
    bool plain = true;
    for (size_t i = 0; i <= text.size(); ++i) {
      const char c = i < text.size() ? text[i] : ' ';
      if (c >= 'a' && c <= 'z') {
        word += c;
      } else if (std::isalnum(static_cast<unsigned char>(c)) || c == '\'' || (c & 0x80) != 0) {
        plain = false;  // names and numbers
      } else {
        if (plain && !word.empty()) ++counts[word];
        word.clear();
        plain = true;
      }
    }
  }
  return counts;
}

void Lexicon::add_entry(const WordNet& wordnet, const std::unordered_map<std::string, int64_t>& counts,
                        const std::string& word, const Word& senses) {
  int best = -1;  // the part of speech that WordNet's tagged texts show most
  for (int pos = 0; pos < 4; ++pos) {
    if (senses.senses[pos].empty() || senses.tag_count[pos] == 0) continue;
    if (best < 0 || senses.tag_count[pos] > senses.tag_count[best]) best = pos;
  }
  if (best < 0) return;
  const Synset& sense = wordnet.synsets()[static_cast<size_t>(senses.senses[best][0])];
  LexiconEntry entry;
  entry.word = word;
  entry.pos = static_cast<PartOfSpeech>(best);
  entry.meaning = short_meaning(sense.definition, word);
  if (entry.meaning.empty()) return;
  entry.countable = entry.pos == PartOfSpeech::kNoun &&
                    (entry.meaning.starts_with("a ") || entry.meaning.starts_with("an ") ||
                     entry.meaning.starts_with("any ") || entry.meaning.starts_with("one of "));
  size_t self = 0;
  for (size_t i = 0; i < sense.words.size(); ++i) {
    const std::string& other = sense.words[i];
    if (other == word)
      self = i;
    else if (is_simple(other) && count_of(counts, other) >= kLeastCount)
      entry.synonyms.push_back(other);
  }
  for (const Synset::Antonym& antonym : sense.antonyms) {
    if (antonym.source_word >= 0 && static_cast<size_t>(antonym.source_word) != self) continue;
    const Synset& target = wordnet.synsets()[static_cast<size_t>(antonym.synset)];
    const auto target_word = static_cast<size_t>(std::max<int>(antonym.target_word, 0));
    if (target_word < target.words.size() && is_simple(target.words[target_word]) &&
        count_of(counts, target.words[target_word]) >= kLeastCount)
      entry.antonyms.push_back(target.words[target_word]);
  }
  for (const int32_t index : senses.senses[best]) {
    for (const std::string& example : wordnet.synsets()[static_cast<size_t>(index)].examples) {
      std::string sentence = whole_sentence(example, word);
      if (!sentence.empty() && entry.examples.size() < 6) entry.examples.push_back(std::move(sentence));
    }
  }
  if (entry.pos == PartOfSpeech::kNoun) {
    const Synset* at = &sense;
    for (int steps = 0; steps < 12 && !at->hypernyms.empty(); ++steps) {
      at = &wordnet.synsets()[static_cast<size_t>(at->hypernyms[0])];
      for (const std::string& name : at->words) {
        if (!is_simple(name) || kVague.contains(name) || count_of(counts, name) < 40 || name == word)
          continue;
        if (std::find(entry.kinds_of.begin(), entry.kinds_of.end(), name) == entry.kinds_of.end())
          entry.kinds_of.push_back(name);
        break;
      }
    }
  }
  entries_.push_back(std::move(entry));
}

void Lexicon::add_everyday_words(const WordNet& wordnet) {
  std::unordered_map<std::string, size_t> known;
  for (size_t i = 0; i < entries_.size(); ++i) known[entries_[i].word] = i;
  std::unordered_set<std::string> done;  // a word that the list has twice (love) keeps its first row
  for (const EverydayWord& row : everyday_words()) {
    const std::string word(row.word);
    if (!done.insert(word).second) continue;
    LexiconEntry entry;
    if (const auto found = known.find(word); found != known.end() && entries_[found->second].pos == row.pos) {
      entry = entries_[found->second];  // keeps its synonyms and examples
    } else if (const Word* senses = wordnet.find(word); senses != nullptr) {
      for (const int32_t index : senses->senses[static_cast<int>(row.pos)]) {
        for (const std::string& example : wordnet.synsets()[static_cast<size_t>(index)].examples) {
          std::string sentence = whole_sentence(example, word);
          if (!sentence.empty() && entry.examples.size() < 6) entry.examples.push_back(std::move(sentence));
        }
      }
    }
    entry.word = word;
    entry.pos = row.pos;
    entry.meaning = row.meaning;
    entry.countable =
        row.pos == PartOfSpeech::kNoun && (row.meaning.starts_with("a ") || row.meaning.starts_with("an "));
    entry.kinds_of.clear();
    if (row.pos == PartOfSpeech::kNoun)
      entry.synonyms.clear();  // of WordNet's sense, perhaps not of this one
    if (!row.kind.empty()) entry.kinds_of.emplace_back(row.kind);
    entry.everyday = true;
    if (const auto found = known.find(word); found != known.end())
      entries_[found->second] = std::move(entry);
    else
      entries_.push_back(std::move(entry));
  }
}

Lexicon::Lexicon(const WordNet& wordnet, const std::unordered_map<std::string, int64_t>& counts,
                 const DialogueOptions& options) {
  std::vector<std::pair<int64_t, std::string>> ranked;  // by count, then by name: hash order must not show
  for (const auto& [word, count] : counts)
    if (count >= kLeastCount && is_simple(word) && !kExcluded.contains(word) && wordnet.find(word) != nullptr)
      ranked.emplace_back(-count, word);
  std::sort(ranked.begin(), ranked.end());
  for (const auto& [count, word] : ranked) {
    if (static_cast<int64_t>(entries_.size()) >= options.words) break;
    add_entry(wordnet, counts, word, *wordnet.find(word));
  }
  add_everyday_words(wordnet);
  for (size_t i = 0; i < entries_.size(); ++i) {
    LexiconEntry& entry = entries_[i];
    const uint64_t hash = XXH3_64bits_withSeed(entry.word.data(), entry.word.size(), options.seed);
    entry.held_out = i >= kNeverHeldOut && !entry.everyday &&
                     static_cast<double>(hash >> 11) * 0x1.0p-53 < options.held_out;
    index_[entry.word] = i;
    const double weight =
        entry.everyday ? kEverydayWeight : std::pow(static_cast<double>(count_of(counts, entry.word)), 0.4);
    for (int side = 0; side < 2; ++side) {
      const double before = cumulative_[side].empty() ? 0 : cumulative_[side].back();
      cumulative_[side].push_back(before + (entry.held_out == (side == 1) ? weight : 0));
    }
    if (!entry.held_out)
      for (const std::string& kind : entry.kinds_of) members_[kind].push_back(entry.word);
  }
  for (auto& [category, names] : members_) {  // everyday words first: they come to mind first
    std::stable_partition(names.begin(), names.end(),
                          [&](const std::string& name) { return entries_[index_.at(name)].everyday; });
  }
  for (const auto& [category, names] : members_)
    if (names.size() >= 3) categories_.push_back(category);
  std::sort(categories_.begin(), categories_.end());
}

const LexiconEntry* Lexicon::find(const std::string& word) const {
  const auto found = index_.find(word);
  return found == index_.end() ? nullptr : &entries_[found->second];
}

const LexiconEntry& Lexicon::draw(base::Random& random, DialogueSide side) const {
  const std::vector<double>& train = cumulative_[0];
  const std::vector<double>& held_out = cumulative_[1];
  const std::vector<double>& cumulative =
      side == DialogueSide::kHeldOut && held_out.back() > 0 ? held_out : train;
  const double at = random.uniform() * cumulative.back();
  const auto found = std::upper_bound(cumulative.begin(), cumulative.end(), at);
  return entries_[std::min(static_cast<size_t>(found - cumulative.begin()), entries_.size() - 1)];
}

const std::vector<std::string>& Lexicon::members(const std::string& category) const {
  static const std::vector<std::string> none;
  const auto found = members_.find(category);
  return found == members_.end() ? none : found->second;
}

}  // namespace hadal::train::corpus
