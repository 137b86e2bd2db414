#include "train/corpus/wordnet.h"

#include <charconv>
#include <sstream>

#include "base/error.h"
#include "base/files.h"

namespace hadal::train::corpus {

namespace {

constexpr const char* kSuffix[4] = {"noun", "verb", "adj", "adv"};

int64_t key_of(PartOfSpeech pos, int64_t offset) { return offset * 4 + static_cast<int64_t>(pos); }

// The space-separated fields of one line, with errors that name the line.
class Fields {
 public:
  Fields(std::string_view line, const std::string& path, int64_t number)
      : rest_(line), path_(path), number_(number) {}
  std::string_view next() {
    const size_t end = std::min(rest_.find(' '), rest_.size());
    const std::string_view field = rest_.substr(0, end);
    rest_.remove_prefix(std::min(end + 1, rest_.size()));
    if (field.empty()) bad("too few fields");
    return field;
  }
  int64_t integer(int base = 10) {
    const std::string_view field = next();
    int64_t value = 0;
    const auto [stop, error] = std::from_chars(field.data(), field.data() + field.size(), value, base);
    if (error != std::errc() || stop != field.data() + field.size() || value < 0) bad("not a number");
    return value;
  }
  [[noreturn]] void bad(const char* reason) const {
    throw_error(ErrorCode::kBadInput, "[wordnet] {}:{}: {}", path_, number_, reason);
  }

 private:
  std::string_view rest_;
  const std::string& path_;
  int64_t number_;
};

PartOfSpeech parse_pos(std::string_view field, const Fields& fields) {
  switch (field[0]) {
    case 'n':
      return PartOfSpeech::kNoun;
    case 'v':
      return PartOfSpeech::kVerb;
    case 'a':
    case 's':
      return PartOfSpeech::kAdjective;
    case 'r':
      return PartOfSpeech::kAdverb;
    default:
      fields.bad("unknown part of speech");
  }
}

std::string plain_word(std::string_view word) {
  std::string out(word.substr(0, word.find('(')));  // galore(ip)
  for (char& c : out)
    if (c == '_') c = ' ';
  return out;
}

std::string trimmed(std::string_view text) {
  const size_t first = text.find_first_not_of(" ;\t");
  if (first == std::string_view::npos) return "";
  return std::string(text.substr(first, text.find_last_not_of(" ;\t") - first + 1));
}

// "definition; "example one"; "example two"": examples are what stands in quotation marks after a semicolon.
void split_gloss(std::string_view gloss, Synset& synset) {
  size_t quote = gloss.find("; \"");
  if (gloss.starts_with('"')) quote = 0;
  synset.definition = trimmed(gloss.substr(0, quote));
  while (quote != std::string_view::npos) {
    const size_t begin = gloss.find('"', quote);
    if (begin == std::string_view::npos) break;
    const size_t end = gloss.find('"', begin + 1);
    if (end == std::string_view::npos) break;
    std::string example = trimmed(gloss.substr(begin + 1, end - begin - 1));
    // An attribution such as "...- Shakespeare" follows the quote; the example stands without it.
    if (!example.empty()) synset.examples.push_back(std::move(example));
    quote = end + 1 < gloss.size() ? end + 1 : std::string_view::npos;
  }
}

template <typename Fn>
void each_line(const std::string& path, Fn&& fn) {
  const std::string bytes = base::read_file(path);
  std::string_view rest = bytes;
  for (int64_t number = 1; !rest.empty(); ++number) {
    const size_t end = std::min(rest.find('\n'), rest.size());
    fn(rest.substr(0, end), number);
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
}

}  // namespace

std::string_view pos_name(PartOfSpeech pos) {
  constexpr std::string_view names[4] = {"noun", "verb", "adjective", "adverb"};
  return names[static_cast<int>(pos)];
}

void WordNet::load_data(const std::string& path, PartOfSpeech pos) {
  each_line(path, [&](std::string_view line, int64_t number) {
    if (line.empty() || line.starts_with("  ")) return;  // the licence
    Fields fields(line, path, number);
    Synset synset{};
    synset.pos = pos;
    const int64_t offset = fields.integer();
    fields.next();  // lexicographer file
    fields.next();  // synset type
    const int64_t words = fields.integer(16);
    for (int64_t i = 0; i < words; ++i) {
      synset.words.push_back(plain_word(fields.next()));
      fields.next();  // lex_id
    }
    const size_t bar = line.find(" | ");
    if (bar != std::string_view::npos) split_gloss(line.substr(bar + 3), synset);
    by_offset_[key_of(pos, offset)] = static_cast<int32_t>(synsets_.size());
    synsets_.push_back(std::move(synset));
  });
}

void WordNet::load_index(const std::string& path, PartOfSpeech pos) {
  each_line(path, [&](std::string_view line, int64_t number) {
    if (line.empty() || line.starts_with("  ")) return;
    Fields fields(line, path, number);
    const std::string lemma = plain_word(fields.next());
    fields.next();  // pos
    const int64_t senses = fields.integer();
    const int64_t pointers = fields.integer();
    for (int64_t i = 0; i < pointers; ++i) fields.next();
    fields.next();  // sense_cnt again
    fields.next();  // how many senses are tagged
    Word& word = words_[lemma];
    for (int64_t i = 0; i < senses; ++i) {
      const auto found = by_offset_.find(key_of(pos, fields.integer()));
      if (found == by_offset_.end()) fields.bad("points at no synset");
      word.senses[static_cast<int>(pos)].push_back(found->second);
    }
  });
}

void WordNet::load_exceptions(const std::string& path, PartOfSpeech pos) {
  each_line(path, [&](std::string_view line, int64_t) {
    const size_t space = line.find(' ');
    if (space == std::string_view::npos) return;
    const std::string form(line.substr(0, space));
    const std::string lemma(line.substr(space + 1, line.find(' ', space + 1) - space - 1));
    exceptions_[static_cast<int>(pos)].emplace(lemma, form);  // the first form listed stays
  });
}

// sense_key tag_count lines: "abandon%2:40:01:: 1 10"; the digit after % is the part of speech.
void WordNet::load_counts(const std::string& path) {
  each_line(path, [&](std::string_view line, int64_t number) {
    const size_t percent = line.find('%');
    if (percent == std::string_view::npos || percent + 1 >= line.size()) return;
    const auto found = words_.find(plain_word(line.substr(0, percent)));
    const char type = line[percent + 1];
    if (found == words_.end() || type < '1' || type > '5') return;
    Fields fields(line, path, number);
    fields.next();
    fields.next();
    const int pos = type == '1' ? 0 : type == '2' ? 1 : type == '4' ? 3 : 2;
    found->second.tag_count[pos] += static_cast<int32_t>(fields.integer());
  });
}

WordNet WordNet::load(const std::string& directory) {
  WordNet out;
  for (int i = 0; i < 4; ++i) out.load_data(directory + "/data." + kSuffix[i], static_cast<PartOfSpeech>(i));
  // Pointers name byte offsets of synsets further on: a second pass resolves them.
  size_t index = 0;
  for (int i = 0; i < 4; ++i) {
    const std::string path = directory + "/data." + kSuffix[i];
    each_line(path, [&](std::string_view line, int64_t number) {
      if (line.empty() || line.starts_with("  ")) return;
      Fields fields(line, path, number);
      for (int skip = 0; skip < 3; ++skip) fields.next();
      const int64_t words = fields.integer(16);
      for (int64_t w = 0; w < 2 * words; ++w) fields.next();
      const int64_t pointers = fields.integer();
      Synset& synset = out.synsets_[index++];
      for (int64_t p = 0; p < pointers; ++p) {
        const std::string_view symbol = fields.next();
        const int64_t offset = fields.integer();
        const PartOfSpeech pos = parse_pos(fields.next(), fields);
        const std::string_view source_target = fields.next();
        const auto found = out.by_offset_.find(key_of(pos, offset));
        if (found == out.by_offset_.end()) fields.bad("points at no synset");
        if (symbol == "@" || symbol == "@i") synset.hypernyms.push_back(found->second);
        if (symbol == "~" || symbol == "~i") synset.hyponyms.push_back(found->second);
        if (symbol == "!" && source_target.size() == 4) {
          int source = 0;
          int target = 0;
          std::from_chars(source_target.data(), source_target.data() + 2, source, 16);
          std::from_chars(source_target.data() + 2, source_target.data() + 4, target, 16);
          synset.antonyms.push_back(
              {found->second, static_cast<int16_t>(source - 1), static_cast<int16_t>(target - 1)});
        }
      }
    });
  }
  for (int i = 0; i < 4; ++i) {
    out.load_index(directory + "/index." + kSuffix[i], static_cast<PartOfSpeech>(i));
    out.load_exceptions(directory + "/" + kSuffix[i] + ".exc", static_cast<PartOfSpeech>(i));
  }
  out.load_counts(directory + "/cntlist.rev");
  return out;
}

const Word* WordNet::find(const std::string& lemma) const {
  const auto found = words_.find(lemma);
  return found == words_.end() ? nullptr : &found->second;
}

const std::string& WordNet::irregular(PartOfSpeech pos, const std::string& lemma) const {
  static const std::string none;
  const auto& table = exceptions_[static_cast<int>(pos)];
  const auto found = table.find(lemma);
  return found == table.end() ? none : found->second;
}

}  // namespace hadal::train::corpus
