// reStructuredText as Sphinx keeps it in _sources: one document a file. Directives, headings, doctests and
// literal blocks go; roles and inline marks leave their text.
#include <algorithm>
#include <string>
#include <vector>

#include "base/files.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

namespace {

// :role:`text <target>`, ``literal``, `link <target>`_, *emphasis*, **strong**
std::string plain_inline(std::string_view text) {
  std::string out;
  for (size_t at = 0; at < text.size(); ++at) {
    const char c = text[at];
    if (c == ':' && at + 1 < text.size() && std::isalpha(static_cast<unsigned char>(text[at + 1]))) {
      size_t end = at + 1;
      while (end < text.size() &&
             (std::isalnum(static_cast<unsigned char>(text[end])) || text[end] == '-' || text[end] == ':'))
        ++end;
      if (end < text.size() && text[end] == '`' && text[end - 1] == ':') {
        at = end - 1;
        continue;
      }
    }
    if (c == '`') {
      const size_t marks = text.substr(at).starts_with("``") ? 2 : 1;
      const size_t end = text.find(std::string(marks, '`'), at + marks);
      if (end == std::string_view::npos) continue;
      std::string_view body = text.substr(at + marks, end - at - marks);
      if (marks == 1) {
        if (body.starts_with('~')) body = body.substr(body.rfind('.') == body.npos ? 1 : body.rfind('.') + 1);
        if (body.starts_with('!')) body.remove_prefix(1);
        if (body.ends_with('>') && body.rfind(" <") != body.npos) body = body.substr(0, body.rfind(" <"));
      }
      out += body;
      at = end + marks - 1;
      while (at + 1 < text.size() && text[at + 1] == '_') ++at;
      continue;
    }
    if (c == '*') continue;
    if (c == '\\' && at + 1 < text.size()) continue;
    if (c == '|') continue;
    out += c;
  }
  return out;
}

size_t indent_of(std::string_view line) { return std::min(line.find_first_not_of(" \t"), line.size()); }

bool is_rule(std::string_view line) {
  return line.size() >= 3 && line.find_first_not_of(line[0]) == std::string_view::npos &&
         std::string_view("=-~^\"'*#+.`_").find(line[0]) != std::string_view::npos;
}

std::string rst_text(std::string_view rst) {
  std::string out;
  std::vector<std::string_view> block;
  size_t literal_indent = std::string_view::npos;  // deeper lines than this are a literal block
  const auto finish = [&] {
    if (block.empty()) return;
    const size_t indent = indent_of(block[0]);
    const std::vector<std::string_view> lines = std::move(block);
    block.clear();
    if (literal_indent != std::string_view::npos) {
      if (indent > literal_indent) return;
      literal_indent = std::string_view::npos;
    }
    const std::string_view first = lines[0].substr(indent);
    if (first.starts_with(".. ") || first == "..") {
      const bool prose = first.starts_with(".. note::") || first.starts_with(".. versionchanged") ||
                         first.find("function::") != first.npos || first.find("method::") != first.npos ||
                         first.find("class::") != first.npos || first.starts_with(".. data::") ||
                         first.starts_with(".. seealso::") || first.starts_with(".. tip::") ||
                         first.starts_with(".. warning::") || first.starts_with(".. attribute::") ||
                         first.starts_with(".. module::") || first.starts_with(".. exception::");
      if (!prose) literal_indent = indent;  // the content of the directive is left out, too
      return;
    }
    if (first.starts_with(">>>") || first.starts_with(":")) return;
    if (std::any_of(lines.begin(), lines.end(),
                    [](std::string_view line) { return is_rule(line.substr(indent_of(line))); }))
      return;  // a heading or a table
    std::string text;
    for (const std::string_view line : lines) text.append(line).append(" ");
    const size_t end = text.find_last_not_of(" \t");
    if (end != std::string::npos && end >= 1 && text[end] == ':' && text[end - 1] == ':') {
      literal_indent = indent;
      text.erase(end);
    }
    if (first.starts_with("* ") || first.starts_with("- ") || first.starts_with("#. "))
      text.erase(0, indent + 2);
    out += plain_inline(text) + "\n\n";
  };
  while (!rst.empty()) {
    const size_t end = std::min(rst.find('\n'), rst.size());
    const std::string_view line = rst.substr(0, end);
    rst.remove_prefix(std::min(end + 1, rst.size()));
    if (indent_of(line) == line.size()) {
      finish();
      continue;
    }
    const std::string_view trimmed = line.substr(indent_of(line));
    if (!block.empty() && (trimmed.starts_with("* ") || trimmed.starts_with("- "))) finish();
    block.push_back(line);
  }
  finish();
  return out;
}

}  // namespace

void extract_rst(const ExtractInput& input, const DocumentSink& sink) {
  for (const InputFile& file : list_files(input, ".rst.txt"))
    sink({"", file.name, rst_text(base::read_file(file.path))});
}

}  // namespace hadal::train::corpus
