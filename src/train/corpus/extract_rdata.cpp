// R lazy-load databases (R internals, "Lazy loading" and "Serialization formats"): records of a 4-byte
// big-endian inflated size and a zlib stream, each an XDR-serialised object. Character vectors become
// documents: one string is one line, an empty string ends a paragraph, and a line such as "CHAPTER IV" begins
// a new document.
#include <cctype>

#include "base/error.h"
#include "base/files.h"
#include "train/corpus/extractor.h"

namespace hadal::train::corpus {

namespace {

constexpr uint32_t kCharacterVector = 16;
constexpr uint32_t kString = 9;
constexpr size_t kMaxRecordBytes = 256 << 20;

class XdrReader {
 public:
  XdrReader(std::string_view bytes, std::string name) : bytes_(bytes), name_(std::move(name)) {}
  uint32_t u32() {
    const std::string_view b = take(4);
    const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<unsigned char>(b[i])); };
    return byte(0) << 24 | byte(1) << 16 | byte(2) << 8 | byte(3);
  }
  std::string_view take(size_t count) {
    if (count > bytes_.size() - at_)
      throw_error(ErrorCode::kBadInput, "[corpus] {}: the object ends early, at byte {}", name_,
                  bytes_.size());
    at_ += count;
    return bytes_.substr(at_ - count, count);
  }

 private:
  std::string_view bytes_;
  std::string name_;
  size_t at_ = 0;
};

bool is_chapter_heading(std::string_view line) {
  if (line.size() > 24) return false;
  std::string upper;
  for (const char c : line) upper += static_cast<char>(std::toupper(static_cast<unsigned char>(c)));
  return upper.starts_with("CHAPTER ") || upper.starts_with("VOLUME ");
}

}  // namespace

void extract_rdata(const ExtractInput& input, const DocumentSink& sink) {
  for (const InputFile& file : list_files(input, ".rdb")) {
    const std::string bytes = base::read_file(file.path);
    int record = 0;
    for (size_t at = 0; at + 5 < bytes.size(); ++record) {
      if (bytes[at + 4] != 'x')  // the first byte of a zlib stream; R's '2' and 'Z' mean bzip2 and xz
        throw_error(ErrorCode::kUnsupported,
                    "[corpus] {}: record {} is compressed with '{}', only zlib is read", file.path, record,
                    bytes[at + 4]);
      size_t used = 0;
      const std::string object =
          inflate(std::string_view(bytes).substr(at + 4), kMaxRecordBytes, file.path, &used);
      at += 4 + used;
      XdrReader reader(object, file.path);
      if (reader.take(2) != "X\n") continue;
      const uint32_t version = reader.u32();
      reader.u32();                                 // R that wrote it
      reader.u32();                                 // oldest R that reads it
      if (version == 3) reader.take(reader.u32());  // the native encoding's name
      if ((reader.u32() & 0xFF) != kCharacterVector) continue;
      const uint32_t count = reader.u32();
      std::string text;
      int chapter = 0;
      const auto finish = [&] {
        std::erase(text, '_');  // _emphasis_, as typed books have it
        sink({"", file.name + "/" + std::to_string(record) + "." + std::to_string(chapter++),
              std::move(text)});
        text.clear();
      };
      for (uint32_t i = 0; i < count; ++i) {
        if ((reader.u32() & 0xFF) != kString)
          throw_error(ErrorCode::kBadInput, "[corpus] {}: string {} of record {} is not one", file.path, i,
                      record);
        const uint32_t size = reader.u32();
        const std::string_view line = size == 0xFFFFFFFF ? std::string_view() : reader.take(size);
        if (is_chapter_heading(line))
          finish();
        else
          text.append(line).append("\n");
      }
      finish();
    }
  }
}

}  // namespace hadal::train::corpus
