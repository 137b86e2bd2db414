// Writes a GGUF file, version 3, in one pass: metadata, then the list of tensors, then their bytes in that
// order. The file appears under its name when it is whole and on the disk, or not at all.
//
//   GgufWriter writer("m.gguf");
//   writer.set("general.architecture", "deepseek2");
//   writer.declare("token_embd.weight", {vocab, hidden}, format);
//   writer.begin();
//   writer.write(bytes);   // of the declared tensors, in order, in pieces of any size
//   writer.finish();
#pragma once

#include <cstdint>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "format/gguf.h"

namespace hadal::format {

class GgufWriter {
 public:
  // Throws Error{kIo}, as all calls that write.
  explicit GgufWriter(const std::string& path);

  // Metadata, before begin(); a key is set once. Types as llama.cpp expects them: counts and ids are u32.
  void set(std::string_view key, std::string_view value);
  void set(std::string_view key, const char* value) { set(key, std::string_view(value)); }
  void set(std::string_view key, uint32_t value);
  void set(std::string_view key, float value);
  void set(std::string_view key, bool value);
  void set(std::string_view key, std::span<const std::string> values);
  void set(std::string_view key, std::span<const int32_t> values);
  void set(std::string_view key, std::span<const float> values);

  // A tensor, before begin(): shape row-major, whole blocks of a format that GGUF has. Returns its bytes.
  int64_t declare(const std::string& name, const tensor::Shape& shape, const quant::WeightFormat& format);

  int64_t tensor_bytes() const { return data_bytes_; }  // of those declared so far, without padding

  void begin();
  void write(std::span<const std::byte> bytes);
  void finish();

 private:
  struct Declared {
    std::string name;
    uint64_t bytes = 0;
  };
  void begin_value(std::string_view key, GgufType type);
  void begin_array(std::string_view key, GgufType element, size_t count);
  void end_tensor();

  base::AtomicFile file_;
  std::string values_, infos_;
  uint64_t value_count_ = 0;
  std::set<std::string, std::less<>> names_;  // keys and tensors
  std::vector<Declared> tensors_;
  uint64_t next_offset_ = 0;
  int64_t data_bytes_ = 0;
  size_t current_ = 0;    // the tensor whose bytes come next
  uint64_t written_ = 0;  // of it
  bool began_ = false;
};

}  // namespace hadal::format
