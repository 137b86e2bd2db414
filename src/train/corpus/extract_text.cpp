// Plain text files: one document each, blank lines between paragraphs.
#include "base/files.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

void extract_text(const ExtractInput& input, const DocumentSink& sink) {
  for (const InputFile& file : list_files(input, ".txt")) {
    std::string text = base::read_file(file.path);
    std::erase(text, '_');  // _emphasis_, as typed books have it
    sink({"", file.name, std::move(text)});
  }
}

}  // namespace hadal::train::corpus
