#include "train/corpus/clean.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <unordered_map>
#include <unordered_set>

namespace hadal::train::corpus {

namespace {

constexpr char32_t kBad = 0xFFFFFFFF;

// Decodes one code point at text[at] and moves past it; kBad (and one byte) for what is not UTF-8.
char32_t next_code_point(std::string_view text, size_t& at) {
  const auto lead = static_cast<unsigned char>(text[at]);
  const int extra = lead < 0x80                   ? 0
                    : lead >= 0xF0 && lead < 0xF5 ? 3
                    : lead >= 0xE0                ? 2
                    : lead >= 0xC2                ? 1
                                                  : -1;
  if (lead >= 0xF5 || extra < 0 || at + static_cast<size_t>(extra) >= text.size() + (extra == 0)) {
    ++at;
    return kBad;
  }
  char32_t code = extra == 0 ? lead : lead & (0x3F >> extra);
  for (int i = 1; i <= extra; ++i) {
    const auto byte = static_cast<unsigned char>(text[at + static_cast<size_t>(i)]);
    if ((byte & 0xC0) != 0x80) {
      ++at;
      return kBad;
    }
    code = code << 6 | (byte & 0x3F);
  }
  const bool overlong = (extra == 2 && code < 0x800) || (extra == 3 && code < 0x10000);
  if (overlong || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000)) {
    ++at;
    return kBad;
  }
  at += static_cast<size_t>(extra) + 1;
  return code;
}

bool is_space(char32_t c) {
  return c == ' ' || (c >= 9 && c <= 13) || c == 0xA0 || (c >= 0x2000 && c <= 0x200A) || c == 0x202F ||
         c == 0x3000 || c == 0x2028 || c == 0x2029;
}

bool is_dropped(char32_t c) {
  return c == kBad || c < 0x20 || c == 0x7F || (c >= 0x80 && c < 0xA0) || c == 0xAD || c == 0x200B ||
         c == 0x200C || c == 0x200D || c == 0xB6 || c == 0x2060 || c == 0xFEFF || c == 0xFFFD ||
         (c >= 0xE000 && c <= 0xF8FF);
}

const std::unordered_set<std::string_view>& stopwords() {
  static const std::unordered_set<std::string_view> words = {
      "a",     "an",    "the",    "and",     "or",    "but",  "if",   "of",    "to",    "in",    "on",
      "at",    "by",    "for",    "with",    "from",  "as",   "is",   "are",   "was",   "were",  "be",
      "been",  "has",   "have",   "had",     "do",    "does", "did",  "not",   "no",    "it",    "its",
      "he",    "she",   "his",    "her",     "him",   "they", "them", "their", "we",    "us",    "our",
      "you",   "your",  "i",      "me",      "my",    "this", "that", "these", "those", "which", "who",
      "whom",  "what",  "when",   "where",   "there", "then", "than", "so",    "such",  "can",   "will",
      "would", "shall", "should", "may",     "might", "must", "all",  "any",   "each",  "other", "more",
      "most",  "only",  "into",   "upon",    "out",   "up",   "very", "one",   "how",   "some",  "also",
      "about", "after", "before", "because", "while", "unto", "thou", "thy",   "thee",  "ye",    "hath",
      "am",    "could", "too",    "over",    "here"};
  return words;
}

}  // namespace

void append_utf8(std::string& out, char32_t c) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xC0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xE0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  } else if (c <= 0x10FFFF) {
    out += static_cast<char>(0xF0 | c >> 18);
    out += static_cast<char>(0x80 | (c >> 12 & 0x3F));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3F));
    out += static_cast<char>(0x80 | (c & 0x3F));
  }
}

std::string normalise(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  bool pending_space = false;
  for (size_t at = 0; at < text.size();) {
    char32_t c = next_code_point(text, at);
    if (is_space(c)) {
      pending_space = !out.empty();
      continue;
    }
    if (is_dropped(c)) continue;
    const char* plain = nullptr;
    switch (c) {
      case 0x2018:
      case 0x2019:
      case 0x201A:
      case 0x201B:
      case 0x2032:
      case 0x60:
      case 0xB4:
        plain = "'";
        break;
      case 0x201C:
      case 0x201D:
      case 0x201E:
      case 0x2033:
      case 0xAB:
      case 0xBB:
        plain = "\"";
        break;
      case 0x2010:
      case 0x2011:
      case 0x2212:
        plain = "-";
        break;
      case 0x2012:
      case 0x2013:
        plain = "-";
        break;
      case 0x2014:
      case 0x2015:
        plain = "—";
        break;
      case 0x2026:
        plain = "...";
        break;
      case 0xFB01:
        plain = "fi";
        break;
      case 0xFB02:
        plain = "fl";
        break;
      default:
        break;
    }
    if (c == '-' && at < text.size() && text[at] == '-') {  // a typewriter's dash, however long
      while (at < text.size() && text[at] == '-') ++at;
      plain = "—";
    }
    if (pending_space) out += ' ';
    pending_space = false;
    if (plain != nullptr)
      out += plain;
    else
      append_utf8(out, c);
  }
  return out;
}

std::vector<std::string> split_paragraphs(std::string_view text) {
  std::vector<std::string> out;
  std::string paragraph;
  const auto finish = [&] {
    std::string clean = normalise(paragraph);
    if (!clean.empty()) out.push_back(std::move(clean));
    paragraph.clear();
  };
  while (!text.empty()) {
    const size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const bool blank = line.find_first_not_of(" \t\r\f\v") == std::string_view::npos;
    if (blank)
      finish();
    else
      paragraph.append(line).append(" ");
  }
  finish();
  return out;
}

std::string join_paragraphs(const std::vector<std::string>& paragraphs) {
  std::string out;
  for (const std::string& paragraph : paragraphs) {
    if (!out.empty()) out += "\n\n";
    out += paragraph;
  }
  return out;
}

bool is_prose(std::string_view paragraph, const ProseFilter& filter) {
  int64_t plain = 0;
  int64_t lower = 0;
  int64_t characters = 0;
  for (const char c : paragraph) {
    const auto byte = static_cast<unsigned char>(c);
    if ((byte & 0xC0) == 0x80) continue;  // inside a character
    ++characters;
    if (std::isalpha(byte) || byte == ' ' ||
        std::string_view(".,;:!?'\"-()").find(c) != std::string_view::npos || byte == 0xE2 ||
        byte == 0xC3)  // dashes, accented letters
      ++plain;
    if (std::islower(byte)) ++lower;
  }
  if (characters == 0 || lower * 2 < characters) return false;
  if (static_cast<double>(plain) < filter.min_letters * static_cast<double>(characters)) return false;

  int words = 0;
  int stops = 0;
  int identifiers = 0;
  for (size_t at = 0; at < paragraph.size();) {
    const size_t end = std::min(paragraph.find(' ', at), paragraph.size());
    std::string_view raw = paragraph.substr(at, end - at);
    at = end + 1;
    bool identifier = raw.find_first_of("_/=<>{}[]|\\$#@%*+~^&") != std::string_view::npos ||
                      raw.find("()") != std::string_view::npos || raw.find("::") != std::string_view::npos;
    std::string word;
    for (size_t i = 0; i < raw.size(); ++i) {
      const auto byte = static_cast<unsigned char>(raw[i]);
      if (!std::isalpha(byte)) continue;
      if (std::isupper(byte) && i > 0 && std::islower(static_cast<unsigned char>(raw[i - 1])))
        identifier = true;
      word += static_cast<char>(std::tolower(byte));
    }
    // foo.bar, but not "end.Next" of careless typing: a dot between two lower-case letters
    for (size_t i = 1; i + 1 < raw.size(); ++i)
      if (raw[i] == '.' && std::islower(static_cast<unsigned char>(raw[i - 1])) &&
          std::islower(static_cast<unsigned char>(raw[i + 1])))
        identifier = true;
    if (word.empty() && !identifier) continue;
    ++words;
    stops += stopwords().contains(word);
    identifiers += identifier;
  }
  if (words < filter.min_words) return false;
  if (words >= 8 && stops < filter.min_stopwords * words) return false;
  if (identifiers > filter.max_identifiers * words) return false;
  const size_t first = paragraph.find_first_not_of("\"'([ ");
  if (first != std::string_view::npos && std::islower(static_cast<unsigned char>(paragraph[first])))
    return false;  // the tail of something that was cut
  if (!filter.require_sentence_end) return true;
  const size_t last = paragraph.find_last_not_of("\"')]");
  return last != std::string_view::npos &&
         std::string_view(".!?").find(paragraph[last]) != std::string_view::npos;
}

std::string decode_entities(std::string_view text) {
  static const std::unordered_map<std::string_view, char32_t> named = {
      {"amp", '&'},      {"lt", '<'},       {"gt", '>'},        {"quot", '"'},     {"apos", '\''},
      {"nbsp", 0xA0},    {"mdash", 0x2014}, {"ndash", 0x2013},  {"lsquo", 0x2018}, {"rsquo", 0x2019},
      {"ldquo", 0x201C}, {"rdquo", 0x201D}, {"hellip", 0x2026}, {"copy", 0xA9},    {"reg", 0xAE},
      {"eacute", 0xE9},  {"egrave", 0xE8},  {"aacute", 0xE1},   {"agrave", 0xE0},  {"ouml", 0xF6},
      {"uuml", 0xFC},    {"auml", 0xE4},    {"ccedil", 0xE7},   {"ntilde", 0xF1},  {"middot", 0xB7},
      {"times", 0xD7},   {"le", 0x2264},    {"ge", 0x2265},     {"ne", 0x2260},    {"shy", 0xAD},
      {"rarr", 0x2192},  {"larr", 0x2190},  {"bull", 0x2022},   {"minus", 0x2212}, {"deg", 0xB0}};
  std::string out;
  out.reserve(text.size());
  for (size_t at = 0; at < text.size(); ++at) {
    const size_t end = text[at] == '&' ? text.find(';', at) : std::string_view::npos;
    if (end == std::string_view::npos || end - at < 2 || end - at > 10) {
      out += text[at];
      continue;
    }
    const std::string_view name = text.substr(at + 1, end - at - 1);
    uint32_t code = 0;
    if (name[0] == '#') {
      const bool hex = name.size() > 1 && (name[1] == 'x' || name[1] == 'X');
      const char* first = name.data() + (hex ? 2 : 1);
      const char* last = name.data() + name.size();
      const auto [stop, error] = std::from_chars(first, last, code, hex ? 16 : 10);
      if (error != std::errc() || stop != last || code > 0x10FFFF || (code >= 0xD800 && code < 0xE000))
        code = 0;
    } else if (const auto found = named.find(name); found != named.end()) {
      code = found->second;
    }
    if (code == 0) {
      out += text[at];
      continue;
    }
    append_utf8(out, code);
    at = end;
  }
  return out;
}

}  // namespace hadal::train::corpus
