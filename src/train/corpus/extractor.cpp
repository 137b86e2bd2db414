#include "train/corpus/extractor.h"

#include <zlib.h>

#include <algorithm>
#include <filesystem>

#include "base/error.h"
#include "base/toml_reader.h"

namespace hadal::train::corpus {
namespace fs = std::filesystem;

namespace {

constexpr Extractor kExtractors[] = {
    {"sword", "SWORD modules with compressed OSIS text (zText, zCom)", extract_sword},
    {"rdata", "R lazy-load databases with character vectors (.rdb)", extract_rdata},
    {"wordnet", "WordNet database files (data.noun, ...)", extract_wordnet},
    {"rst", "reStructuredText sources of Sphinx (.rst.txt)", extract_rst},
    {"pod", "Perl's plain old documentation (.pod)", extract_pod},
    {"html", "HTML pages (.html)", extract_html},
    {"text", "plain text (.txt)", extract_text},
};

}  // namespace

std::span<const Extractor> extractors() { return kExtractors; }

const Extractor& find_extractor(const std::string& name) {
  std::vector<std::string> names;
  for (const Extractor& row : kExtractors) {
    if (name == row.name) return row;
    names.emplace_back(row.name);
  }
  const std::string nearest = base::nearest_name(name, names);
  throw_error(ErrorCode::kBadInput, "[corpus] unknown extractor \"{}\"{}", name,
              nearest.empty() ? "" : "; did you mean \"" + nearest + "\"?");
}

std::vector<InputFile> list_files(const ExtractInput& input, const std::string& suffix) {
  std::vector<InputFile> out;
  if (fs::is_regular_file(input.path)) {
    out.push_back({input.path, fs::path(input.path).filename().string()});
  } else if (fs::is_directory(input.path)) {
    for (const auto& entry : fs::recursive_directory_iterator(input.path)) {
      if (!entry.is_regular_file()) continue;
      const std::string name = fs::relative(entry.path(), input.path).string();
      const bool skipped = std::any_of(input.skip.begin(), input.skip.end(), [&](const std::string& part) {
        return name.find(part) != std::string::npos;
      });
      if (name.ends_with(suffix) && !skipped) out.push_back({entry.path().string(), name});
    }
  }
  if (out.empty())
    throw_error(ErrorCode::kBadInput, "[corpus] {}: no {} file there: has the package changed its layout?",
                input.path, suffix);
  std::sort(out.begin(), out.end(), [](const InputFile& a, const InputFile& b) { return a.name < b.name; });
  return out;
}

std::string inflate(std::string_view data, size_t limit, const std::string& what, size_t* consumed) {
  z_stream stream{};
  if (inflateInit(&stream) != Z_OK) throw std::bad_alloc();
  std::string out;
  char chunk[1 << 16];
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(data.data()));
  stream.avail_in = static_cast<uInt>(std::min<size_t>(data.size(), 1u << 30));
  int status = Z_OK;
  while (status == Z_OK && out.size() <= limit) {
    stream.next_out = reinterpret_cast<Bytef*>(chunk);
    stream.avail_out = sizeof chunk;
    status = ::inflate(&stream, Z_NO_FLUSH);
    out.append(chunk, sizeof chunk - stream.avail_out);
  }
  const size_t used = stream.total_in;
  inflateEnd(&stream);
  if (status != Z_STREAM_END || out.size() > limit)
    throw_error(ErrorCode::kBadInput, "[corpus] {}: damaged compressed data ({} bytes in, {} out)", what,
                data.size(), out.size());
  if (consumed != nullptr) *consumed = used;
  return out;
}

}  // namespace hadal::train::corpus
