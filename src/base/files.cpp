#include "base/files.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <system_error>
#include <utility>

#include "base/error.h"

namespace hadal::base {
namespace fs = std::filesystem;

namespace {

constexpr size_t kBufferBytes = 1 << 20;

[[noreturn]] void io_error(const char* action, const std::string& path) {
  throw_error(ErrorCode::kIo, "cannot {} {}: {}", action, path, std::strerror(errno));
}

// A path that leads to no file is the caller's mistake; anything else is the system's.
[[noreturn]] void input_error(const std::string& path) {
  if (errno == ENOENT || errno == ENOTDIR || errno == EISDIR)
    throw_error(ErrorCode::kBadInput, "cannot open {}: {}", path, std::strerror(errno));
  io_error("open", path);
}

// Closes on scope exit.
struct FileDescriptor {
  int fd;
  ~FileDescriptor() {
    if (fd >= 0) ::close(fd);
  }
};

std::string parent_directory(const std::string& path) {
  const auto parent = fs::path(path).parent_path();
  return parent.empty() ? "." : parent.string();
}

void sync_file(const std::string& path) {
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) io_error("open", path);
  if (::fsync(file.fd) != 0) io_error("sync", path);
}

}  // namespace

bool file_exists(const std::string& path) {
  std::error_code ignored;
  return fs::exists(path, ignored);
}

std::string read_file(const std::string& path) {
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) input_error(path);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) io_error("read", path);
  if (S_ISDIR(info.st_mode)) throw_error(ErrorCode::kBadInput, "cannot read {}: it is a directory", path);
  std::string out;
  char chunk[1 << 16];
  if (info.st_size > 0) out.reserve(static_cast<size_t>(info.st_size));
  while (true) {
    const ssize_t got = ::read(file.fd, chunk, sizeof chunk);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) io_error("read", path);
    if (got == 0) return out;
    out.append(chunk, static_cast<size_t>(got));
  }
}

MappedFile::MappedFile(const std::string& path) : path_(path) {
  const FileDescriptor file{::open(path.c_str(), O_RDONLY | O_CLOEXEC)};
  if (file.fd < 0) input_error(path);
  struct stat info {};
  if (::fstat(file.fd, &info) != 0) io_error("read", path);
  if (!S_ISREG(info.st_mode)) throw_error(ErrorCode::kBadInput, "cannot map {}: not a regular file", path);
  if (info.st_size == 0) return;
  size_ = static_cast<size_t>(info.st_size);
  void* mapped = ::mmap(nullptr, size_, PROT_READ, MAP_PRIVATE, file.fd, 0);
  if (mapped == MAP_FAILED) io_error("map", path);
  data_ = static_cast<const std::byte*>(mapped);
}

MappedFile::~MappedFile() {
  if (data_ != nullptr) ::munmap(const_cast<std::byte*>(data_), size_);
}

MappedFile::MappedFile(MappedFile&& other) noexcept { *this = std::move(other); }

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  std::swap(path_, other.path_);
  return *this;
}

AtomicFile::AtomicFile(const std::string& path)
    : path_(path), temporary_(path + ".tmp-" + std::to_string(::getpid())) {
  fd_ = ::open(temporary_.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
  if (fd_ < 0) io_error("create", temporary_);
  buffer_.reserve(kBufferBytes);
}

AtomicFile::~AtomicFile() {
  if (fd_ >= 0) {
    ::close(fd_);
    ::unlink(temporary_.c_str());
  }
}

void AtomicFile::write(std::string_view bytes) {
  while (!bytes.empty()) {
    const size_t part = std::min(bytes.size(), kBufferBytes - buffer_.size());
    buffer_.append(bytes.substr(0, part));
    bytes.remove_prefix(part);
    if (buffer_.size() == kBufferBytes) flush();
  }
}

void AtomicFile::write(std::span<const std::byte> bytes) {
  write(std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()));
}

void AtomicFile::flush() {
  size_t done = 0;
  while (done < buffer_.size()) {
    const ssize_t put = ::write(fd_, buffer_.data() + done, buffer_.size() - done);
    if (put < 0 && errno == EINTR) continue;
    if (put < 0) io_error("write", path_);
    done += static_cast<size_t>(put);
  }
  buffer_.clear();
}

void AtomicFile::commit() {
  flush();
  if (::fsync(fd_) != 0) io_error("sync", path_);
  if (::rename(temporary_.c_str(), path_.c_str()) != 0) io_error("rename to", path_);
  ::close(fd_);
  fd_ = -1;
  sync_directory(parent_directory(path_));
}

void write_file_atomic(const std::string& path, std::string_view bytes) {
  AtomicFile file(path);
  file.write(bytes);
  file.commit();
}

void sync_directory(const std::string& path) {
  const FileDescriptor directory{::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC)};
  if (directory.fd < 0) io_error("open", path);
  if (::fsync(directory.fd) != 0) io_error("sync", path);
}

void replace_directory(const std::string& path, const std::function<void(const std::string&)>& fill) {
  const std::string aside = path + ".new";
  const std::string old = path + ".old";
  std::error_code error;
  fs::remove_all(aside, error);
  fs::create_directories(aside, error);
  if (error) throw_error(ErrorCode::kIo, "cannot create {}: {}", aside, error.message());
  try {
    fill(aside);
    for (const auto& entry : fs::recursive_directory_iterator(aside)) {
      if (entry.is_directory())
        sync_directory(entry.path().string());
      else
        sync_file(entry.path().string());
    }
    sync_directory(aside);
  } catch (...) {
    fs::remove_all(aside, error);
    throw;
  }
  fs::remove_all(old, error);
  if (!file_exists(path)) {
    if (::rename(aside.c_str(), path.c_str()) != 0) io_error("rename to", path);
    sync_directory(parent_directory(path));
    return;
  }
  if (::renameat2(AT_FDCWD, aside.c_str(), AT_FDCWD, path.c_str(), RENAME_EXCHANGE) == 0) {
    sync_directory(parent_directory(path));
    fs::remove_all(aside, error);  // now the older directory
    return;
  }
  if (errno != EINVAL && errno != ENOSYS) io_error("exchange", path);
  // This file system cannot exchange: two renames, undone when the second fails.
  if (::rename(path.c_str(), old.c_str()) != 0) io_error("move aside", path);
  if (::rename(aside.c_str(), path.c_str()) != 0) {
    const int reason = errno;
    static_cast<void>(::rename(old.c_str(), path.c_str()));
    errno = reason;
    io_error("rename to", path);
  }
  sync_directory(parent_directory(path));
  fs::remove_all(old, error);
}

}  // namespace hadal::base
