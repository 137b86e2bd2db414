// Perl's plain old documentation (perlpod): one document a file. Commands and verbatim paragraphs go;
// formatting codes such as C<...>, L<text|page> and E<gt> leave their text.
#include <algorithm>
#include <cctype>

#include "base/files.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

namespace {

// Reads the inside of a formatting code from `at`, which stands after its opening brackets.
std::string inside(std::string_view text, size_t& at, size_t brackets, int depth);

std::string code(std::string_view text, size_t& at, int depth) {
  const char letter = text[at];
  size_t brackets = 0;
  while (at + 1 + brackets < text.size() && text[at + 1 + brackets] == '<') ++brackets;
  at += 1 + brackets;
  std::string body = inside(text, at, brackets, depth + 1);
  switch (letter) {
    case 'X':
    case 'Z':
      return "";
    case 'E':
      return body == "lt" ? "<" : body == "gt" ? ">" : body == "sol" ? "/" : body == "verbar" ? "|" : "";
    case 'L': {
      const size_t bar = body.find('|');
      if (bar != std::string::npos) return body.substr(0, bar);
      return body.substr(0, body.find('/') == 0 ? body.size() : std::min(body.find('/'), body.size()));
    }
    default:
      return body;
  }
}

std::string inside(std::string_view text, size_t& at, size_t brackets, int depth) {
  std::string out;
  while (at < text.size()) {
    if (text[at] == '>' && text.substr(at).starts_with(std::string(brackets, '>'))) {
      at += brackets;
      break;
    }
    if (depth < 16 && text[at] >= 'A' && text[at] <= 'Z' && at + 1 < text.size() && text[at + 1] == '<') {
      out += code(text, at, depth);
    } else {
      out += text[at++];
    }
  }
  const size_t first = out.find_first_not_of(' ');
  if (brackets > 1 && first != std::string::npos)
    out = out.substr(first, out.find_last_not_of(' ') - first + 1);
  return out;
}

std::string pod_text(std::string_view pod) {
  std::string out;
  bool in_pod = false;
  bool in_begin = false;
  while (!pod.empty()) {
    const size_t end = std::min(pod.find("\n\n"), pod.size());
    std::string_view paragraph = pod.substr(0, end);
    pod.remove_prefix(std::min(end + 2, pod.size()));
    while (paragraph.starts_with('\n')) paragraph.remove_prefix(1);
    if (paragraph.empty()) continue;
    if (paragraph[0] == '=') {
      in_pod = !paragraph.starts_with("=cut");
      if (paragraph.starts_with("=begin")) in_begin = true;
      if (paragraph.starts_with("=end")) in_begin = false;
      continue;
    }
    if (!in_pod || in_begin || std::isspace(static_cast<unsigned char>(paragraph[0]))) continue;
    size_t at = 0;
    std::string text;
    while (at < paragraph.size()) text += inside(paragraph, at, paragraph.size() + 1, 0);
    out += text + "\n\n";
  }
  return out;
}

}  // namespace

void extract_pod(const ExtractInput& input, const DocumentSink& sink) {
  for (const InputFile& file : list_files(input, ".pod"))
    sink({"", file.name, pod_text(base::read_file(file.path))});
}

}  // namespace hadal::train::corpus
