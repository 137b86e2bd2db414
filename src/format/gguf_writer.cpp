#include "format/gguf_writer.h"

#include <bit>

#include "base/error.h"

namespace hadal::format {
namespace {

constexpr uint64_t kAlignment = 32;

template <typename T>
void append(std::string& out, T value) {
  for (size_t i = 0; i < sizeof value; ++i) {
    out.push_back(static_cast<char>(static_cast<uint64_t>(value) >> (8 * i) & 255));
  }
}

void append_text(std::string& out, std::string_view text) {
  append(out, static_cast<uint64_t>(text.size()));
  out += text;
}

uint64_t padding(uint64_t position) { return (kAlignment - position % kAlignment) % kAlignment; }

}  // namespace

GgufWriter::GgufWriter(const std::string& path) : file_(path) {}

void GgufWriter::begin_value(std::string_view key, GgufType type) {
  HADAL_CHECK(!began_ && names_.emplace(key).second);
  append_text(values_, key);
  append(values_, static_cast<uint32_t>(type));
  ++value_count_;
}

void GgufWriter::begin_array(std::string_view key, GgufType element, size_t count) {
  begin_value(key, GgufType::kArray);
  append(values_, static_cast<uint32_t>(element));
  append(values_, static_cast<uint64_t>(count));
}

void GgufWriter::set(std::string_view key, std::string_view value) {
  begin_value(key, GgufType::kString);
  append_text(values_, value);
}

void GgufWriter::set(std::string_view key, uint32_t value) {
  begin_value(key, GgufType::kU32);
  append(values_, value);
}

void GgufWriter::set(std::string_view key, float value) {
  begin_value(key, GgufType::kF32);
  append(values_, std::bit_cast<uint32_t>(value));
}

void GgufWriter::set(std::string_view key, bool value) {
  begin_value(key, GgufType::kBool);
  append(values_, static_cast<uint8_t>(value));
}

void GgufWriter::set(std::string_view key, std::span<const std::string> values) {
  begin_array(key, GgufType::kString, values.size());
  for (const std::string& value : values) append_text(values_, value);
}

void GgufWriter::set(std::string_view key, std::span<const int32_t> values) {
  begin_array(key, GgufType::kI32, values.size());
  for (const int32_t value : values) append(values_, static_cast<uint32_t>(value));
}

void GgufWriter::set(std::string_view key, std::span<const float> values) {
  begin_array(key, GgufType::kF32, values.size());
  for (const float value : values) append(values_, std::bit_cast<uint32_t>(value));
}

int64_t GgufWriter::declare(const std::string& name, const tensor::Shape& shape,
                            const quant::WeightFormat& format) {
  HADAL_CHECK(!began_ && names_.emplace(name).second && format.gguf_type.has_value());
  HADAL_CHECK(!shape.empty() && shape.size() <= 4 && shape.back() % format.block_elements == 0);
  const int64_t bytes = format.bytes(tensor::element_count(shape));
  append_text(infos_, name);
  append(infos_, static_cast<uint32_t>(shape.size()));
  for (size_t i = shape.size(); i > 0; --i) append(infos_, static_cast<uint64_t>(shape[i - 1]));
  append(infos_, *format.gguf_type);
  append(infos_, next_offset_);
  tensors_.push_back({name, static_cast<uint64_t>(bytes)});
  next_offset_ += static_cast<uint64_t>(bytes);
  next_offset_ += padding(next_offset_);
  data_bytes_ += bytes;
  return bytes;
}

void GgufWriter::begin() {
  HADAL_CHECK(!began_);
  began_ = true;
  std::string head = "GGUF";
  append(head, uint32_t{3});
  append(head, static_cast<uint64_t>(tensors_.size()));
  append(head, value_count_);
  const uint64_t size = head.size() + values_.size() + infos_.size();
  file_.write(head);
  file_.write(values_);
  file_.write(infos_);
  file_.write(std::string(padding(size), '\0'));
  values_ = {};
  infos_ = {};
}

void GgufWriter::write(std::span<const std::byte> bytes) {
  HADAL_CHECK(began_);
  while (!bytes.empty()) {
    HADAL_CHECK(current_ < tensors_.size());
    const uint64_t part = std::min<uint64_t>(bytes.size(), tensors_[current_].bytes - written_);
    file_.write(bytes.first(part));
    bytes = bytes.subspan(part);
    written_ += part;
    if (written_ == tensors_[current_].bytes) end_tensor();
  }
}

void GgufWriter::end_tensor() {
  file_.write(std::string(padding(written_), '\0'));
  written_ = 0;
  ++current_;
}

void GgufWriter::finish() {
  HADAL_CHECK(began_ && current_ == tensors_.size());
  file_.commit();
}

}  // namespace hadal::format
