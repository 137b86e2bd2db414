// Extractors: one file each (extract_<name>.cpp), one row each in extractor.cpp. An extractor turns the files
// of an unpacked package into documents of raw paragraphs (blank lines between); cleaning and filtering come
// after it. Adding one: write the function, declare it here, add its row. See
// docs/howto/add-corpus-source.md.
#pragma once

#include <span>
#include <string>
#include <vector>

#include "train/corpus/document.h"

namespace hadal::train::corpus {

struct ExtractInput {
  std::string path;               // a file or folder inside the unpacked package
  std::vector<std::string> skip;  // parts of relative file names that are left out
};

struct Extractor {
  const char* name;
  const char* reads;  // for error messages and --help
  void (*extract)(const ExtractInput& input, const DocumentSink& sink);
};

std::span<const Extractor> extractors();
// Throws Error{kBadInput} naming the nearest known extractor.
const Extractor& find_extractor(const std::string& name);

// Each throws Error{kBadInput} naming the file when the bytes are not what the format says. `sink` gets
// documents whose id is the file's name in the package, plus a part number where a file holds several.
void extract_sword(const ExtractInput& input, const DocumentSink& sink);
void extract_rdata(const ExtractInput& input, const DocumentSink& sink);
void extract_wordnet(const ExtractInput& input, const DocumentSink& sink);
void extract_rst(const ExtractInput& input, const DocumentSink& sink);
void extract_pod(const ExtractInput& input, const DocumentSink& sink);
void extract_html(const ExtractInput& input, const DocumentSink& sink);
void extract_text(const ExtractInput& input, const DocumentSink& sink);

// The regular files below input.path whose name ends with `suffix`, sorted, skip list applied; the path
// itself when it is a file. Throws Error{kBadInput} when there is none.
struct InputFile {
  std::string path;
  std::string name;  // relative to input.path
};
std::vector<InputFile> list_files(const ExtractInput& input, const std::string& suffix);

// Inflates a zlib stream of unknown or known size, at most `limit` bytes. Throws Error{kBadInput} naming
// `what`. `consumed`, when given, receives how many bytes of `data` the stream took.
std::string inflate(std::string_view data, size_t limit, const std::string& what, size_t* consumed = nullptr);

}  // namespace hadal::train::corpus
