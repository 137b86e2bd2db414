// A document of the corpus, and the plain file that carries documents between the stages of a build.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <vector>

namespace hadal::train::corpus {

struct Document {
  std::string source;  // the recipe's name for where it comes from
  std::string id;      // unique within the source, the same on every build: the split is decided by it
  std::string text;    // paragraphs separated by one blank line
};

using DocumentSink = std::function<void(Document)>;

// Stage files: per document a line "\x1e<source>\t<id>" and then the text. Cleaned text holds no control
// characters, so 0x1e cannot occur in it. Throws Error{kIo}, or Error{kBadInput} for a file that is not of
// this form.
void write_documents(const std::string& path, const std::vector<Document>& documents);
std::vector<Document> read_documents(const std::string& path);

}  // namespace hadal::train::corpus
