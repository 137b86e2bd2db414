// Any bytes as a GGUF file: an Error, or values and tensors that lie inside it, no tensor over another.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "base/error.h"
#include "format/gguf.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace hadal;
  // A copy of exactly this size, so that a sanitizer sees any read past the end.
  const std::vector<uint8_t> copy(data, data + size);
  const std::span<const std::byte> file = std::as_bytes(std::span(copy));
  const std::string where = "fuzz";
  format::GgufContents contents;
  try {
    contents = format::parse_gguf(file, where);
  } catch (const Error&) {
    return 0;
  }
  for (const auto& entry : contents.metadata) {
    const format::GgufValue& value = entry.second;
    const auto attempt = [&](auto get) {
      try {
        get();
      } catch (const Error&) {
      }
    };
    attempt([&] { (void)value.integer(); });
    attempt([&] { (void)value.number(); });
    attempt([&] { (void)value.boolean(); });
    attempt([&] { (void)value.text(); });
    attempt([&] { (void)value.integers(); });
    attempt([&] { (void)value.numbers(); });
    attempt([&] { (void)value.booleans(); });
    attempt([&] {
      size_t bytes = 0;
      for (const auto text : value.texts()) bytes += text.size();
      if (bytes > size) std::abort();
    });
  }
  size_t covered = 0;
  for (const auto& [name, tensor] : contents.tensors) {
    const int64_t elements = tensor::element_count(tensor.shape);
    if (tensor.bytes.size() != static_cast<size_t>(tensor.format->bytes(elements))) std::abort();
    if (tensor.bytes.data() < file.data() || tensor.bytes.data() + tensor.bytes.size() > file.data() + size)
      std::abort();
    covered += tensor.bytes.size();
    std::vector<float> values(static_cast<size_t>(elements));
    tensor.format->to_float(tensor.bytes.data(), elements, values.data());
  }
  if (covered > size) std::abort();
  return 0;
}
