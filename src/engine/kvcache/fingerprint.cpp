#include "engine/kvcache/fingerprint.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "base/error.h"
#include "engine/kvcache/content_digest.h"
#include "engine/kvcache/sha256.h"
#include "format/gguf.h"
#include "format/hf_directory.h"

namespace hadal::engine {
namespace {

namespace fs = std::filesystem;
using namespace std::string_view_literals;

struct NamedFile {
  std::string name;  // in the digest
  std::string path;
};

std::vector<NamedFile> files_of_directory(const std::string& directory) {
  std::vector<NamedFile> files;
  const auto add = [&](const std::string& name) { files.push_back({name, directory + "/" + name}); };
  add("config.json");
  std::error_code error;
  for (fs::directory_iterator it(directory, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (name.starts_with("tokenizer") && name.ends_with(".json")) add(name);
  }
  if (error) throw_error(ErrorCode::kIo, "[kv] cannot list {}: {}", directory, error.message());
  for (const auto& [name, tensors] : format::weight_files(directory)) add(name);
  std::ranges::sort(files, {}, &NamedFile::name);
  return files;
}

std::vector<NamedFile> files_of_gguf(const std::string& path) {
  const format::GgufFile model(path);  // checks that all parts are there and belong together
  const format::GgufValue* count = model.find_value("split.count");
  const int64_t parts = count != nullptr ? count->integer() : 1;
  if (parts <= 1) return {{"gguf-0", path}};
  const std::string stem = path.substr(0, path.size() - "-00001-of-00001.gguf"sv.size());
  std::vector<NamedFile> files;
  for (int64_t i = 0; i < parts; ++i)
    files.push_back({fmt::format("gguf-{}", i), fmt::format("{}-{:05}-of-{:05}.gguf", stem, i + 1, parts)});
  return files;
}

std::span<const std::byte> bytes_of(const uint64_t& number) { return std::as_bytes(std::span(&number, 1)); }
std::span<const std::byte> bytes_of(std::string_view text) { return std::as_bytes(std::span(text)); }

}  // namespace

Digest checkpoint_digest(const std::string& path, const std::string& memory_directory,
                         const std::function<void(int64_t, int64_t)>& progress, const std::string& adapter) {
  std::error_code error;
  auto files = fs::is_directory(path, error) ? files_of_directory(path) : files_of_gguf(path);
  if (!adapter.empty()) {
    for (const char* name : {"adapter_config.json", "adapter_model.safetensors"}) {
      files.push_back({fmt::format("adapter/{}", name), fmt::format("{}/{}", adapter, name)});
    }
  }
  int64_t total = 0;
  for (const NamedFile& file : files) {
    const auto size = fs::file_size(file.path, error);
    if (error) throw_error(ErrorCode::kIo, "[kv] cannot read {}: {}", file.path, error.message());
    total += static_cast<int64_t>(size);
  }
  int64_t done = 0;
  std::string list("hadal checkpoint 1\0"sv);
  const auto append = [&](std::span<const std::byte> bytes) {
    list.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  const auto append_number = [&](uint64_t number) { append(bytes_of(number)); };
  for (const NamedFile& file : files) {
    const FileDigest digest = content_digest(file.path, memory_directory, [&](int64_t bytes) {
      if (progress) progress(std::min(done + bytes, total), total);
    });
    done += digest.size;
    append_number(file.name.size());
    append(bytes_of(std::string_view(file.name)));
    append_number(static_cast<uint64_t>(digest.size));
    append(std::as_bytes(std::span(digest.digest)));
  }
  if (progress) progress(total, total);
  return sha256({bytes_of(std::string_view(list))});
}

Fingerprint page_fingerprint(const Digest& checkpoint, std::string_view layout, std::string_view arithmetic) {
  const uint64_t layout_bytes = layout.size();
  const uint64_t arithmetic_bytes = arithmetic.size();
  return sha256({bytes_of("hadal kv fingerprint, page format 1\0"sv), std::as_bytes(std::span(checkpoint)),
                 bytes_of(layout_bytes), bytes_of(layout), bytes_of(arithmetic_bytes), bytes_of(arithmetic)});
}

}  // namespace hadal::engine
