#include "format/safetensors_writer.h"

#include "base/error.h"
#include "base/json.h"

namespace hadal::format {

SafetensorsWriter::SafetensorsWriter(const std::string& path, const std::vector<TensorSpec>& tensors)
    : file_(path) {
  // By hand, so that tensors keep their order.
  std::string header = R"({"__metadata__":{"format":"pt"})";
  for (const auto& tensor : tensors) {
    header += fmt::format(R"(,{}:{{"dtype":"{}","shape":{},"data_offsets":[{},{}]}})",
                          base::dump_json(base::Json(tensor.name)), tensor::dtype_name(tensor.dtype),
                          base::dump_json(base::Json(tensor.shape)), left_, left_ + tensor.bytes());
    left_ += tensor.bytes();
  }
  header += '}';
  header.append((8 - header.size() % 8) % 8, ' ');
  std::string length(8, '\0');
  for (size_t i = 0; i < length.size(); ++i) length[i] = static_cast<char>(header.size() >> (8 * i) & 255);
  file_.write(length);
  file_.write(header);
}

void SafetensorsWriter::write(std::span<const std::byte> bytes) {
  left_ -= static_cast<int64_t>(bytes.size());
  HADAL_CHECK(left_ >= 0);
  file_.write(bytes);
}

void SafetensorsWriter::finish() {
  HADAL_CHECK(left_ == 0);
  file_.commit();
}

}  // namespace hadal::format
