// HTML pages: one document each. Scripts, tables, listings and navigation go; block elements end paragraphs.
// The reader is forgiving, as browsers are: manuals are full of unclosed elements.
#include <algorithm>
#include <cctype>
#include <unordered_set>

#include "base/files.h"
#include "train/corpus/clean.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

namespace {

const std::unordered_set<std::string_view> kDropped = {"script", "style", "pre",        "table",  "head",
                                                       "nav",    "svg",   "code-block", "button", "form"};
const std::unordered_set<std::string_view> kInline = {
    "a",       "b",    "i",   "em",  "strong", "code", "span", "tt",   "u",   "q", "sup", "sub", "small",
    "acronym", "abbr", "var", "kbd", "samp",   "cite", "dfn",  "font", "big", "s", "img", "wbr"};

bool is_navigation(std::string_view tag) {
  for (const std::string_view mark :
       {"navheader", "navfooter", "class=\"toc", "fancy_toc", "fancy-toc", "menu", "nosearch",
        "class=\"copyright", "legalnotice", "refnamediv", "synopsis"})
    if (tag.find(mark) != std::string_view::npos) return true;
  return false;
}

std::string html_text(std::string_view html) {
  std::string raw;
  std::string skipping;  // the element that is left out, and how deep its name is nested
  int depth = 0;
  for (size_t at = 0; at < html.size();) {
    const size_t open = std::min(html.find('<', at), html.size());
    if (skipping.empty()) {
      for (const char c : html.substr(at, open - at)) raw += c == '\n' ? ' ' : c;
    }
    if (open == html.size()) break;
    if (html.substr(open).starts_with("<!--")) {
      const size_t end = html.find("-->", open);
      at = end == std::string_view::npos ? html.size() : end + 3;
      continue;
    }
    const size_t close = html.find('>', open);
    if (close == std::string_view::npos) break;
    const std::string_view tag = html.substr(open + 1, close - open - 1);
    at = close + 1;
    const bool closing = tag.starts_with('/');
    std::string name;
    for (size_t i = closing ? 1 : 0;
         i < tag.size() && (std::isalnum(static_cast<unsigned char>(tag[i])) != 0); ++i)
      name += static_cast<char>(std::tolower(static_cast<unsigned char>(tag[i])));
    if (!skipping.empty()) {
      if (name == skipping && !tag.ends_with('/')) depth += closing ? -1 : 1;
      if (depth == 0) skipping.clear();
      continue;
    }
    if (!closing && !tag.ends_with('/') &&
        (kDropped.contains(name) || (name == "div" && is_navigation(tag)))) {
      skipping = name;
      depth = 1;
      raw += "\n\n";
    } else if (!kInline.contains(name)) {
      raw += "\n\n";
    }
  }
  return decode_entities(raw);
}

}  // namespace

void extract_html(const ExtractInput& input, const DocumentSink& sink) {
  for (const InputFile& file : list_files(input, ".html"))
    sink({"", file.name, html_text(base::read_file(file.path))});
}

}  // namespace hadal::train::corpus
