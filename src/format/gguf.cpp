#include "format/gguf.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <filesystem>
#include <limits>

#include "base/error.h"
#include "quant/block_bytes.h"

namespace hadal::format {
namespace {

constexpr std::string_view kMagic = "GGUF";
constexpr uint32_t kMaxDimensions = 4;
constexpr uint64_t kMaxSize = std::numeric_limits<int64_t>::max();
constexpr int64_t kMaxParts = 99999;  // five digits in a part's file name

uint64_t load_u64(const std::byte* p) {
  return quant::load_u32(p) | static_cast<uint64_t>(quant::load_u32(p + 4)) << 32;
}

// Bytes of a value of fixed size; 0 for strings and arrays.
size_t fixed_bytes(GgufType type) {
  switch (type) {
    case GgufType::kU8:
    case GgufType::kI8:
    case GgufType::kBool:
      return 1;
    case GgufType::kU16:
    case GgufType::kI16:
      return 2;
    case GgufType::kU32:
    case GgufType::kI32:
    case GgufType::kF32:
      return 4;
    case GgufType::kU64:
    case GgufType::kI64:
    case GgufType::kF64:
      return 8;
    case GgufType::kString:
    case GgufType::kArray:
      return 0;
  }
  return 0;
}

// ggml's names of the tensor types that Hadal knows of and does not read.
std::string tensor_type_name(uint32_t type) {
  constexpr std::pair<uint32_t, std::string_view> kNames[] = {
      {9, "Q8_1"},   {15, "Q8_K"},  {16, "IQ2_XXS"}, {17, "IQ2_XS"}, {18, "IQ3_XXS"}, {19, "IQ1_S"},
      {21, "IQ3_S"}, {22, "IQ2_S"}, {24, "I8"},      {25, "I16"},    {26, "I32"},     {27, "I64"},
      {28, "F64"},   {29, "IQ1_M"}, {34, "TQ1_0"},   {35, "TQ2_0"},  {39, "MXFP4"},
  };
  for (const auto& [number, name] : kNames) {
    if (number == type) return fmt::format("{} ({})", name, number);
  }
  return fmt::format("number {}", type);
}

// Reads forward through the header; every read is checked against the end of the file.
class Cursor {
 public:
  Cursor(std::span<const std::byte> file, const std::string& where) : file_(file), where_(where) {}

  size_t position() const { return position_; }
  uint64_t left() const { return file_.size() - position_; }

  std::span<const std::byte> take(uint64_t bytes, std::string_view what) {
    if (bytes > left()) {
      fail(fmt::format("{}: {} bytes at byte {}, but the file ends at {}", what, bytes, position_,
                       file_.size()));
    }
    const auto out = file_.subspan(position_, bytes);
    position_ += bytes;
    return out;
  }
  uint32_t u32(std::string_view what) { return quant::load_u32(take(4, what).data()); }
  uint64_t u64(std::string_view what) { return load_u64(take(8, what).data()); }
  std::string_view text(std::string_view what) {
    const uint64_t length = u64(what);
    const auto bytes = take(length, what);
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
  }
  [[noreturn]] void fail(const std::string& reason) const {
    throw_error(ErrorCode::kBadInput, "[gguf] {}: {}", where_, reason);
  }
  const std::string& where() const { return where_; }

 private:
  std::span<const std::byte> file_;
  const std::string& where_;
  size_t position_ = 0;
};

GgufType read_type(Cursor& in, std::string_view key) {
  const uint32_t number = in.u32(key);
  if (number > static_cast<uint32_t>(GgufType::kF64)) {
    in.fail(fmt::format("{}: value type {} is unknown", key, number));
  }
  return static_cast<GgufType>(number);
}

GgufValue read_value(Cursor& in, std::string_view key) {
  const GgufType type = read_type(in, key);
  GgufType element = type;
  uint64_t count = 1;
  if (type == GgufType::kArray) {
    element = read_type(in, key);
    count = in.u64(key);
    if (element == GgufType::kArray) in.fail(fmt::format("{}: an array of arrays is not supported", key));
  }
  const size_t begin = in.position();
  if (const size_t size = fixed_bytes(element)) {
    if (count > in.left() / size) {
      in.fail(fmt::format("{}: {} values of type {} at byte {} go past the end of the file", key, count,
                          gguf_type_name(element), begin));
    }
    return {in.where(), key, type, element, count, in.take(count * size, key)};
  }
  const std::byte* first = in.take(0, key).data();
  for (uint64_t i = 0; i < count; ++i) in.text(key);
  return {in.where(), key, type, element, count, {first, in.position() - begin}};
}

struct Entry {
  std::string_view name;
  GgufTensor tensor;
  uint64_t offset = 0;
  uint64_t bytes = 0;
};

Entry read_entry(Cursor& in) {
  Entry entry;
  entry.name = in.text("a tensor's name");
  const auto fail = [&](const std::string& reason) {
    in.fail(fmt::format("tensor {}: {}", entry.name, reason));
  };
  const uint32_t dimensions = in.u32(entry.name);
  if (dimensions == 0 || dimensions > kMaxDimensions) {
    fail(fmt::format("{} dimensions (1 to {} are possible)", dimensions, kMaxDimensions));
  }
  uint64_t elements = 1;
  for (uint32_t i = 0; i < dimensions; ++i) {
    const uint64_t size = in.u64(entry.name);
    if (size == 0 || size > kMaxSize / elements) {
      fail(fmt::format("dimension {} of {} is zero or too large", i, size));
    }
    elements *= size;
    entry.tensor.shape.insert(entry.tensor.shape.begin(), static_cast<int64_t>(size));
  }
  const uint32_t type = in.u32(entry.name);
  entry.tensor.format = quant::find_gguf_format(type);
  if (entry.tensor.format == nullptr) {
    throw_error(ErrorCode::kUnsupported, "[gguf] {}: tensor {}: type {} is not supported", in.where(),
                entry.name, tensor_type_name(type));
  }
  const auto& format = *entry.tensor.format;
  const int64_t row = entry.tensor.shape.back();
  if (row % format.block_elements != 0) {
    fail(fmt::format("rows of {} values are not whole blocks of {} ({})", row, format.block_elements,
                     format.name));
  }
  const uint64_t blocks = elements / static_cast<uint64_t>(format.block_elements);
  if (blocks > kMaxSize / static_cast<uint64_t>(format.block_bytes)) fail("larger than any file");
  entry.bytes = blocks * static_cast<uint64_t>(format.block_bytes);
  entry.offset = in.u64(entry.name);
  return entry;
}

uint64_t read_alignment(const GgufContents& contents, const Cursor& in) {
  const auto it = contents.metadata.find("general.alignment");
  if (it == contents.metadata.end()) return 32;
  const int64_t alignment = it->second.integer();
  if (alignment < 1 || alignment > (1 << 30) || !std::has_single_bit(static_cast<uint64_t>(alignment))) {
    in.fail(fmt::format("general.alignment: {} is not a power of two of at most 2^30", alignment));
  }
  return static_cast<uint64_t>(alignment);
}

// Every tensor inside the data, at an aligned offset, and no byte in two of them.
void place_tensors(std::vector<Entry>& entries, std::span<const std::byte> data, uint64_t alignment,
                   const Cursor& in, GgufContents& contents) {
  for (auto& entry : entries) {
    if (entry.offset % alignment != 0) {
      in.fail(fmt::format("tensor {}: offset {} is not a multiple of the alignment {}", entry.name,
                          entry.offset, alignment));
    }
    if (entry.offset > data.size() || entry.bytes > data.size() - entry.offset) {
      const uint64_t inside = entry.offset > data.size() ? 0 : data.size() - entry.offset;
      in.fail(fmt::format("tensor {}: {} of its {} bytes lie past the end of the file: is it whole?",
                          entry.name, entry.bytes - inside, entry.bytes));
    }
    entry.tensor.bytes = data.subspan(entry.offset, entry.bytes);
  }
  std::sort(entries.begin(), entries.end(),
            [](const Entry& a, const Entry& b) { return a.offset < b.offset; });
  for (size_t i = 1; i < entries.size(); ++i) {
    const Entry& before = entries[i - 1];
    if (before.offset + before.bytes > entries[i].offset) {
      in.fail(fmt::format("tensor {} at byte {} overlaps tensor {}, which ends at {}", entries[i].name,
                          entries[i].offset, before.name, before.offset + before.bytes));
    }
  }
  for (auto& entry : entries) {
    if (!contents.tensors.emplace(entry.name, std::move(entry.tensor)).second) {
      in.fail(fmt::format("tensor {} occurs twice", entry.name));
    }
  }
}

// "NAME-00002-of-00003.gguf"
std::string part_path(const std::string& stem, int64_t number, int64_t parts) {
  return fmt::format("{}-{:05}-of-{:05}.gguf", stem, number, parts);
}

}  // namespace

std::string_view gguf_type_name(GgufType type) {
  constexpr std::string_view kNames[] = {"u8",   "i8",     "u16",   "i16", "u32", "i32", "f32",
                                         "bool", "string", "array", "u64", "i64", "f64"};
  return kNames[static_cast<size_t>(type)];
}

void GgufValue::fail(const std::string& reason) const {
  throw_error(ErrorCode::kBadInput, "[gguf] {}: {}: {}", where_, key_, reason);
}

void GgufValue::expect_array(bool array) const {
  if (is_array() == array) return;
  fail(array ? fmt::format("a value of type {}, expected an array", gguf_type_name(type_))
             : "an array, expected one value");
}

int64_t GgufValue::integer_at(size_t index) const {
  const std::byte* p = bytes_.data() + index * fixed_bytes(element_);
  switch (element_) {
    case GgufType::kU8:
      return quant::load_u8(p);
    case GgufType::kI8:
      return static_cast<int8_t>(*p);
    case GgufType::kU16:
      return quant::load_u16(p);
    case GgufType::kI16:
      return static_cast<int16_t>(quant::load_u16(p));
    case GgufType::kU32:
      return quant::load_u32(p);
    case GgufType::kI32:
      return static_cast<int32_t>(quant::load_u32(p));
    case GgufType::kU64:
    case GgufType::kI64: {
      const uint64_t value = load_u64(p);
      if (element_ == GgufType::kU64 && value > kMaxSize) fail(fmt::format("{} is too large", value));
      return static_cast<int64_t>(value);
    }
    default:
      fail(fmt::format("of type {}, expected an integer", gguf_type_name(element_)));
  }
}

double GgufValue::number_at(size_t index) const {
  const std::byte* p = bytes_.data() + index * fixed_bytes(element_);
  if (element_ == GgufType::kF32) return std::bit_cast<float>(quant::load_u32(p));
  if (element_ == GgufType::kF64) return std::bit_cast<double>(load_u64(p));
  return static_cast<double>(integer_at(index));
}

int64_t GgufValue::integer() const {
  expect_array(false);
  return integer_at(0);
}

double GgufValue::number() const {
  expect_array(false);
  return number_at(0);
}

bool GgufValue::boolean() const {
  expect_array(false);
  if (element_ != GgufType::kBool) fail(fmt::format("of type {}, expected a bool", gguf_type_name(element_)));
  return bytes_[0] != std::byte{0};
}

std::string_view GgufValue::text() const {
  expect_array(false);
  if (element_ != GgufType::kString)
    fail(fmt::format("of type {}, expected a string", gguf_type_name(element_)));
  return {reinterpret_cast<const char*>(bytes_.data()) + 8, bytes_.size() - 8};
}

std::vector<int64_t> GgufValue::integers() const {
  expect_array(true);
  std::vector<int64_t> out(count_);
  for (size_t i = 0; i < count_; ++i) out[i] = integer_at(i);
  return out;
}

std::vector<double> GgufValue::numbers() const {
  expect_array(true);
  std::vector<double> out(count_);
  for (size_t i = 0; i < count_; ++i) out[i] = number_at(i);
  return out;
}

std::vector<bool> GgufValue::booleans() const {
  expect_array(true);
  if (element_ != GgufType::kBool) fail(fmt::format("of type {}, expected bools", gguf_type_name(element_)));
  std::vector<bool> out(count_);
  for (size_t i = 0; i < count_; ++i) out[i] = bytes_[i] != std::byte{0};
  return out;
}

std::vector<std::string_view> GgufValue::texts() const {
  expect_array(true);
  if (element_ != GgufType::kString)
    fail(fmt::format("of type {}, expected strings", gguf_type_name(element_)));
  std::vector<std::string_view> out;
  out.reserve(count_);  // checked while parsing: each takes 8 bytes of the file
  const std::byte* p = bytes_.data();
  for (uint64_t i = 0; i < count_; ++i) {
    const uint64_t length = load_u64(p);
    out.emplace_back(reinterpret_cast<const char*>(p) + 8, length);
    p += 8 + length;
  }
  return out;
}

GgufContents parse_gguf(std::span<const std::byte> file, const std::string& where) {
  Cursor in(file, where);
  const auto magic = in.take(kMagic.size(), "the magic number");
  if (std::memcmp(magic.data(), kMagic.data(), kMagic.size()) != 0) in.fail("not a GGUF file");
  const uint32_t version = in.u32("the version");
  if (version != 2 && version != 3) {
    const bool swapped = version != 0 && (version & 0xFFFFFFu) == 0;
    throw_error(
        ErrorCode::kUnsupported, "[gguf] {}: {} (versions 2 and 3, little-endian, are)", where,
        swapped ? "a big-endian file is not supported" : fmt::format("version {} is not supported", version));
  }
  const uint64_t tensor_count = in.u64("the number of tensors");
  const uint64_t value_count = in.u64("the number of metadata values");
  GgufContents contents;
  for (uint64_t i = 0; i < value_count; ++i) {
    const std::string_view key = in.text("a metadata key");
    if (!contents.metadata.emplace(key, read_value(in, key)).second) {
      in.fail(fmt::format("{} occurs twice in the metadata", key));
    }
  }
  std::vector<Entry> entries;
  for (uint64_t i = 0; i < tensor_count; ++i) entries.push_back(read_entry(in));
  const uint64_t alignment = read_alignment(contents, in);
  const uint64_t padding = (alignment - in.position() % alignment) % alignment;
  // Padding may be cut from a file without tensors.
  const auto data = file.subspan(in.position() + std::min<uint64_t>(padding, in.left()));
  place_tensors(entries, data, alignment, in, contents);
  return contents;
}

GgufFile::GgufFile(const std::string& path) {
  files_.push_back(std::make_unique<base::MappedFile>(path));
  contents_ = parse_gguf(files_.front()->bytes(), files_.front()->path());
  const GgufValue* count = find_value("split.count");
  const int64_t parts = count != nullptr ? count->integer() : 1;
  if (parts <= 1) return;
  const GgufValue* number = find_value("split.no");
  const std::string ending = part_path("", 1, parts);
  if (parts > kMaxParts || number == nullptr || number->integer() != 0 || !path.ends_with(ending)) {
    throw_error(ErrorCode::kBadInput, "[gguf] {}: a part of a model in {} files: give the first, NAME{}",
                path, parts, ending);
  }
  const std::string stem = path.substr(0, path.size() - ending.size());
  for (int64_t i = 1; i < parts; ++i) add_part(part_path(stem, i + 1, parts), i, parts);
  if (const GgufValue* total = find_value("split.tensors.count")) {
    if (total->integer() != static_cast<int64_t>(contents_.tensors.size())) {
      throw_error(ErrorCode::kBadInput,
                  "[gguf] {}: split.tensors.count is {}, but its {} files hold {} tensors", path,
                  total->integer(), parts, contents_.tensors.size());
    }
  }
}

void GgufFile::add_part(const std::string& path, int64_t number, int64_t parts) {
  files_.push_back(std::make_unique<base::MappedFile>(path));
  const std::string& where = files_.back()->path();
  GgufContents part = parse_gguf(files_.back()->bytes(), where);
  const auto expect = [&](const char* key, int64_t expected) {
    const auto it = part.metadata.find(key);
    if (it == part.metadata.end() || it->second.integer() != expected) {
      throw_error(ErrorCode::kBadInput, "[gguf] {}: {} is missing or not {}: a file of another model?", where,
                  key, expected);
    }
  };
  expect("split.no", number);
  expect("split.count", parts);
  for (auto& [name, tensor] : part.tensors) {
    if (!contents_.tensors.emplace(name, std::move(tensor)).second) {
      throw_error(ErrorCode::kBadInput, "[gguf] {}: tensor {} is in an earlier file too", where, name);
    }
  }
}

int64_t GgufFile::bytes() const {
  size_t total = 0;
  for (const auto& file : files_) total += file->bytes().size();
  return static_cast<int64_t>(total);
}

const GgufValue* GgufFile::find_value(std::string_view key) const {
  const auto it = contents_.metadata.find(key);
  return it == contents_.metadata.end() ? nullptr : &it->second;
}

const GgufTensor* GgufFile::find_tensor(std::string_view name) const {
  const auto it = contents_.tensors.find(name);
  return it == contents_.tensors.end() ? nullptr : &it->second;
}

bool is_gguf(const std::string& path) {
  if (std::filesystem::is_directory(path)) return false;
  const base::MappedFile file(path);
  const auto bytes = file.bytes();
  return bytes.size() >= kMagic.size() && std::memcmp(bytes.data(), kMagic.data(), kMagic.size()) == 0;
}

}  // namespace hadal::format
