// safetensors (https://github.com/huggingface/safetensors, format section of its README): 8 bytes
// little-endian header length, a JSON header {name: {dtype, shape, data_offsets: [begin, end)}}, then the
// data. Untrusted input: every offset, size and product is checked, and the data must be covered exactly,
// without gaps or overlaps.
#pragma once

#include <cstdint>
#include <map>
#include <span>
#include <string>
#include <vector>

#include "base/files.h"
#include "tensor/dtype.h"
#include "tensor/tensor.h"

namespace hadal::format {

struct TensorView {
  tensor::DType dtype = tensor::DType::kF32;
  tensor::Shape shape;
  std::span<const std::byte> bytes;
};

class SafetensorsFile {
 public:
  // Throws Error{kBadInput} "[safetensors] <path>: ..." naming the tensor and the values that are wrong.
  explicit SafetensorsFile(const std::string& path);

  const std::map<std::string, TensorView>& tensors() const { return tensors_; }
  const std::map<std::string, std::string>& metadata() const { return metadata_; }
  const TensorView* find(const std::string& name) const;
  const std::string& path() const { return file_.path(); }

 private:
  base::MappedFile file_;
  std::map<std::string, TensorView> tensors_;
  std::map<std::string, std::string> metadata_;
};

// Parses header and layout of a whole file in memory (the fuzz target's entry).
void parse_safetensors(std::span<const std::byte> file, const std::string& where,
                       std::map<std::string, TensorView>& tensors,
                       std::map<std::string, std::string>& metadata);

struct TensorToWrite {
  std::string name;
  tensor::DType dtype = tensor::DType::kF32;  // kF32 or kBF16: converted while writing; others: raw
  tensor::Shape shape;
  const float* values = nullptr;   // for kF32 and kBF16
  std::span<const std::byte> raw;  // for the others
};

// Writes aside, syncs and renames. Tensors are stored in the order given.
void write_safetensors(const std::string& path, std::span<const TensorToWrite> tensors,
                       const std::map<std::string, std::string>& metadata = {});

// The values as FP32 (exact for every type). Throws for integer types.
void to_float(const TensorView& view, float* out);

}  // namespace hadal::format
