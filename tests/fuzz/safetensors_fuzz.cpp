// Any bytes as a safetensors file: an Error, or views that lie inside the data and cover it exactly.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "format/safetensors.h"
#include "quant/registry.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hadal;
  // A copy of exactly this size, so that a sanitizer sees any read past the end.
  const std::vector<uint8_t> copy(data, data + size);
  const std::span<const std::byte> file = std::as_bytes(std::span(copy));
  std::map<std::string, format::TensorView> tensors;
  std::map<std::string, std::string> metadata;
  try {
    format::parse_safetensors(file, "fuzz", tensors, metadata);
  } catch (const Error&) {
    return 0;
  }
  size_t covered = 0;
  for (const auto& [name, view] : tensors) {
    const auto elements = static_cast<size_t>(tensor::element_count(view.shape));
    if (view.bytes.size() != elements * tensor::dtype_bytes(view.dtype)) std::abort();
    if (view.bytes.data() < file.data() || view.bytes.data() + view.bytes.size() > file.data() + size)
      std::abort();
    covered += view.bytes.size();
    if (quant::find_weight_format(view.dtype) == nullptr) continue;
    std::vector<float> values(elements);
    format::to_float(view, values.data());
  }
  if (covered > size) std::abort();
  return 0;
}
