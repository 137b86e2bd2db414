// Files: reading whole, mapping, and writing so that a crash or a full disk leaves the old content.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

namespace hadal::base {

// Readers throw Error{kBadInput} when the path leads to no file, and Error{kIo} when the system refuses.
bool file_exists(const std::string& path);
std::string read_file(const std::string& path);  // throws Error naming the path and the reason

// A read-only memory map of a whole file. Movable; the bytes live as long as the object.
class MappedFile {
 public:
  MappedFile() = default;
  explicit MappedFile(const std::string& path);
  ~MappedFile();
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;

  std::span<const std::byte> bytes() const { return {data_, size_}; }
  const std::string& path() const { return path_; }

 private:
  const std::byte* data_ = nullptr;
  size_t size_ = 0;
  std::string path_;
};

// A buffered writer to `path` + ".tmp-<pid>": commit() syncs the file, renames it over `path` and syncs the
// folder. Without commit() the temporary file is removed and `path` is as before. Throws Error{kIo}.
class AtomicFile {
 public:
  explicit AtomicFile(const std::string& path);
  ~AtomicFile();
  AtomicFile(const AtomicFile&) = delete;
  AtomicFile& operator=(const AtomicFile&) = delete;

  void write(std::string_view bytes);
  void write(std::span<const std::byte> bytes);
  void commit();

 private:
  void flush();

  std::string path_;
  std::string temporary_;
  std::string buffer_;
  int fd_ = -1;
};

void write_file_atomic(const std::string& path, std::string_view bytes);

// Syncs a folder, so that renames and new files in it last through a power cut.
void sync_directory(const std::string& path);

// Builds a directory aside: calls fill(temporary), syncs every file in it, then puts it in the place of
// `path`. An older directory at `path` is exchanged with it in one step and then removed, so `path` is never
// missing; where the file system cannot exchange (renameat2), it is missing between two renames. Throws
// Error{kIo}; `path` is as before then.
void replace_directory(const std::string& path, const std::function<void(const std::string&)>& fill);

}  // namespace hadal::base
