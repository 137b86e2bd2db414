// Plain text files: one document each, blank lines between paragraphs.
#include "base/files.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

void extract_text(const ExtractInput& input, const DocumentSink& sink) {
  for (const InputFile& file : list_files(input, ".txt")) sink({"", file.name, base::read_file(file.path)});
}

}  // namespace hadal::train::corpus
