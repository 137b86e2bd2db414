// SWORD modules (CrossWire): {ot,nt}.{b,c}zs is an index of 12-byte little-endian records (offset, size,
// inflated size) into {ot,nt}.{b,c}zz, whose blocks are zlib streams of OSIS XML. One document per chapter.
#include <cstring>
#include <map>

#include "base/error.h"
#include "base/files.h"
#include "train/corpus/clean.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

namespace {

constexpr size_t kMaxBlockBytes = 64 << 20;

std::string attribute(std::string_view tag, std::string_view name) {
  const std::string key = " " + std::string(name) + "=\"";
  const size_t at = tag.find(key);
  if (at == std::string_view::npos) return "";
  const size_t begin = at + key.size();
  return std::string(tag.substr(begin, tag.find('"', begin) - begin));
}

// Turns OSIS into text: notes and titles go, paragraphs and chapters break, other tags vanish.
class OsisReader {
 public:
  OsisReader(std::string module, const DocumentSink& sink) : module_(std::move(module)), sink_(sink) {}

  void read(std::string_view xml) {
    size_t at = 0;
    while (at < xml.size()) {
      const size_t open = std::min(xml.find('<', at), xml.size());
      if (skipping_.empty()) text_ += decode_entities(xml.substr(at, open - at));
      if (open == xml.size()) break;
      const size_t close = xml.find('>', open);
      if (close == std::string_view::npos) break;
      tag(xml.substr(open + 1, close - open - 1));
      at = close + 1;
    }
    skipping_.clear();  // an element never spans blocks
  }

  void finish() {
    if (!text_.empty()) {
      const int part = parts_[chapter_]++;
      sink_({"", module_ + "/" + chapter_ + (part == 0 ? "" : "#" + std::to_string(part)), std::move(text_)});
    }
    text_.clear();
  }

 private:
  void tag(std::string_view tag) {
    const bool closing = tag.starts_with('/');
    const bool empty = tag.ends_with('/');
    std::string_view name = tag.substr(closing ? 1 : 0);
    name = name.substr(0, name.find_first_of(" /\t\n"));
    if (!skipping_.empty()) {
      if (closing && name == skipping_) skipping_.clear();
      return;
    }
    if ((name == "note" || name == "title") && !closing && !empty) {
      skipping_ = name;
      if (name == "title") text_ += "\n\n";
    } else if (name == "chapter") {
      const std::string id = attribute(tag, "sID");
      if (!id.empty()) {
        finish();
        chapter_ = id;
      }
    } else if (name == "div" && tag.find("type=\"x-milestone\"") == std::string_view::npos) {
      text_ += "\n\n";
    } else if (name == "p" || name == "lg" || name == "table" || name == "list" || name == "item") {
      text_ += "\n\n";
    } else if (!closing && (name == "l" || name == "lb" || name == "verse" || name == "milestone")) {
      text_ += ' ';
    }
  }

  std::string module_;
  const DocumentSink& sink_;
  std::string text_;
  std::string chapter_ = "front";
  std::string skipping_;
  std::map<std::string, int> parts_;
};

uint32_t little_endian(std::string_view bytes, size_t at) {
  uint32_t value;
  std::memcpy(&value, bytes.data() + at, sizeof value);
  return value;
}

}  // namespace

void extract_sword(const ExtractInput& input, const DocumentSink& sink) {
  for (const InputFile& index : list_files(input, "zs")) {
    const std::string records = base::read_file(index.path);
    const std::string data_path = index.path.substr(0, index.path.size() - 1) + "z";
    const std::string data = base::read_file(data_path);
    OsisReader reader(index.name.substr(0, index.name.find('.')), sink);
    for (size_t at = 0; at + 12 <= records.size(); at += 12) {
      const uint32_t offset = little_endian(records, at);
      const uint32_t size = little_endian(records, at + 4);
      if (size == 0) continue;
      if (offset > data.size() || size > data.size() - offset)
        throw_error(ErrorCode::kBadInput, "[corpus] {}: block {} lies past the end ({} + {} of {} bytes)",
                    data_path, at / 12, offset, size, data.size());
      reader.read(inflate(std::string_view(data).substr(offset, size), kMaxBlockBytes, data_path));
    }
    reader.finish();
  }
}

}  // namespace hadal::train::corpus
