#include "train/corpus/document.h"

#include "base/error.h"
#include "base/files.h"

namespace hadal::train::corpus {

void write_documents(const std::string& path, const std::vector<Document>& documents) {
  base::AtomicFile file(path);
  for (const Document& document : documents) {
    file.write("\x1e" + document.source + "\t" + document.id + "\n");
    file.write(document.text);
    file.write("\n");
  }
  file.commit();
}

std::vector<Document> read_documents(const std::string& path) {
  const std::string bytes = base::read_file(path);
  std::vector<Document> out;
  size_t at = 0;
  while (at < bytes.size()) {
    const size_t line_end = bytes.find('\n', at);
    const size_t tab = bytes.find('\t', at);
    if (bytes[at] != '\x1e' || line_end == std::string::npos || tab >= line_end)
      throw_error(ErrorCode::kBadInput,
                  "[corpus] {}: byte {}: not a document; delete the file and build again", path, at);
    size_t next = bytes.find('\x1e', line_end);
    if (next == std::string::npos) next = bytes.size();
    Document document;
    document.source = bytes.substr(at + 1, tab - at - 1);
    document.id = bytes.substr(tab + 1, line_end - tab - 1);
    document.text = bytes.substr(line_end + 1, next - line_end - 1);
    if (!document.text.empty() && document.text.back() == '\n') document.text.pop_back();
    out.push_back(std::move(document));
    at = next;
  }
  return out;
}

}  // namespace hadal::train::corpus
