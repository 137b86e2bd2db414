// GGUF, versions 2 and 3: one file that holds metadata (keys with typed values) and tensors, as llama.cpp and
// the programs around it write it; in several files too (NAME-00001-of-00003.gguf). docs/formats/gguf.md has
// the layout. Untrusted input: every length, offset, size and product is checked against the file before it
// is used, and nothing is allocated by a header's word. Memory-mapped; const use from any thread.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/files.h"
#include "quant/registry.h"
#include "tensor/tensor.h"

namespace hadal::format {

enum class GgufType : uint32_t {
  kU8 = 0,
  kI8 = 1,
  kU16 = 2,
  kI16 = 3,
  kU32 = 4,
  kI32 = 5,
  kF32 = 6,
  kBool = 7,
  kString = 8,
  kArray = 9,
  kU64 = 10,
  kI64 = 11,
  kF64 = 12,
};

std::string_view gguf_type_name(GgufType type);  // "u32"

// A metadata value: a view of the file's bytes, decoded when asked. Getters throw Error{kBadInput} "[gguf]
// <file>: <key>: ..." when the value is of another kind or does not fit.
class GgufValue {
 public:
  GgufValue(std::string_view where, std::string_view key, GgufType type, GgufType element, uint64_t count,
            std::span<const std::byte> bytes)
      : where_(where), key_(key), type_(type), element_(element), count_(count), bytes_(bytes) {}

  GgufType type() const { return type_; }
  bool is_array() const { return type_ == GgufType::kArray; }
  GgufType element_type() const { return element_; }  // of an array; else type()
  uint64_t count() const { return count_; }           // of an array; else 1

  int64_t integer() const;        // any integer type whose value fits in 63 bits
  double number() const;          // any integer or floating-point type
  bool boolean() const;           // a bool
  std::string_view text() const;  // a string; the bytes are the file's
  // Of arrays.
  std::vector<int64_t> integers() const;
  std::vector<double> numbers() const;
  std::vector<bool> booleans() const;
  std::vector<std::string_view> texts() const;

 private:
  void expect_array(bool array) const;
  int64_t integer_at(size_t index) const;
  double number_at(size_t index) const;
  [[noreturn]] void fail(const std::string& reason) const;

  std::string_view where_, key_;
  GgufType type_, element_;
  uint64_t count_;
  std::span<const std::byte> bytes_;
};

struct GgufTensor {
  const quant::WeightFormat* format = nullptr;
  tensor::Shape shape;  // row-major, as in safetensors: ggml's dimensions the other way round
  std::span<const std::byte> bytes;
};

struct GgufContents {
  std::map<std::string, GgufValue, std::less<>> metadata;
  std::map<std::string, GgufTensor, std::less<>> tensors;
};

// One file in memory (the fuzz target's entry). `where` names it in errors; both must outlive the result.
GgufContents parse_gguf(std::span<const std::byte> file, const std::string& where);

class GgufFile {
 public:
  // Opens a file, or the first of a split model's files and then all the others. Throws Error naming the file
  // and the tensor or key that is wrong: cut, overlapping, duplicate, of a type that Hadal does not read.
  explicit GgufFile(const std::string& path);

  const std::string& path() const { return files_.front()->path(); }
  int64_t bytes() const;  // of all files
  const std::map<std::string, GgufValue, std::less<>>& metadata() const { return contents_.metadata; }
  const std::map<std::string, GgufTensor, std::less<>>& tensors() const { return contents_.tensors; }
  const GgufValue* find_value(std::string_view key) const;  // null: no such key
  const GgufTensor* find_tensor(std::string_view name) const;

 private:
  void add_part(const std::string& path, int64_t number, int64_t parts);

  std::vector<std::unique_ptr<base::MappedFile>> files_;  // on the heap: values hold views of their paths
  GgufContents contents_;
};

// True for a file that begins as GGUF does.
bool is_gguf(const std::string& path);

}  // namespace hadal::format
