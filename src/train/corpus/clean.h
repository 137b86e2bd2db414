// From raw text to clean paragraphs: characters made plain, wrapped lines joined, and a filter that keeps
// prose.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace hadal::train::corpus {

// One line of clean text: curly quotes become straight, odd spaces one space, "--" an em dash, "..." three
// dots; control characters, soft hyphens, byte-order marks and bytes that are not UTF-8 go.
std::string normalise(std::string_view text);

// Splits at blank lines, joins the lines of each paragraph, normalises; empty paragraphs are dropped.
std::vector<std::string> split_paragraphs(std::string_view text);

std::string join_paragraphs(const std::vector<std::string>& paragraphs);  // with blank lines between

struct ProseFilter {
  int min_words = 12;             // shorter paragraphs are dropped (headings, table cells)
  double min_letters = 0.93;      // share of letters, spaces and . , ; : ! ? ' " - ( )
  double min_stopwords = 0.20;    // share of English function words
  double max_identifiers = 0.08;  // share of words such as foo_bar, getValue(), --flag, a/b
  bool require_sentence_end = true;
};

// Whether a paragraph reads as English prose under `filter`.
bool is_prose(std::string_view paragraph, const ProseFilter& filter);

// Replaces &amp; &#8217; &#x2019; and the common named entities; unknown ones stay as they are.
std::string decode_entities(std::string_view text);

void append_utf8(std::string& out, char32_t code_point);

}  // namespace hadal::train::corpus
