#include "engine/kvcache/page_io.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>
#include <utility>

#include "base/error.h"
#include "engine/kvcache/page_directory.h"

namespace hadal::engine {
namespace {

constexpr int64_t kTouchAfterNs = 60'000'000'000;  // a page in constant use need not be marked at each use

class Descriptor {
 public:
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { close(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  int get() const { return fd_; }
  int close() {  // errno: on some network file systems this is where a full disk is told
    const int fd = std::exchange(fd_, -1);
    return fd >= 0 && ::close(fd) != 0 && errno != EINTR ? errno : 0;
  }

 private:
  int fd_;
};

PageIo system_error(int error, const char* action, const std::string& path) {
  PageIo io;
  io.result = PageIo::Result::kError;
  io.error = error;
  // Something that is no folder lies where a page's folder should, or a folder where the page should.
  io.local = error == ENOTDIR || error == EISDIR || error == ENOTEMPTY || error == EEXIST || error == ELOOP;
  io.what = fmt::format("cannot {} {}: {}", action, path, std::strerror(error));
  io.trouble = fmt::format("cannot {}: {}", action, std::strerror(error));
  return io;
}

PageIo abandoned() {
  PageIo io;
  io.result = PageIo::Result::kAbandoned;
  return io;
}

enum class Bad { kRemove, kKeep };

// What lies under a page's name and is none goes, unless it is a folder with something in it, or somebody has
// put another file there since `seen` was looked at: that one may be good.
PageIo bad(const std::string& path, const struct stat* seen, const std::string& what, Bad then) {
  struct stat info {};
  const bool same = seen == nullptr || (::lstat(path.c_str(), &info) == 0 && info.st_ino == seen->st_ino &&
                                        info.st_dev == seen->st_dev);
  if (then == Bad::kRemove && same && ::unlink(path.c_str()) != 0) ::rmdir(path.c_str());
  PageIo io;
  io.result = PageIo::Result::kBad;
  io.what = what;
  if (seen != nullptr) io.bytes = seen->st_size;
  return io;
}

bool go_on(const IoHook& hook) { return !hook || hook(); }

// The whole span, or the errno; 0 with fewer bytes at the end of the file.
int read_all(int fd, std::span<std::byte> to, int64_t offset, size_t& got) {
  got = 0;
  while (got < to.size()) {
    const ssize_t part =
        ::pread(fd, to.data() + got, to.size() - got, static_cast<off_t>(offset + static_cast<int64_t>(got)));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return errno;
    if (part == 0) return 0;
    got += static_cast<size_t>(part);
  }
  return 0;
}

int write_all(int fd, std::span<const std::byte> from, int64_t offset) {
  size_t put = 0;
  while (put < from.size()) {
    const ssize_t part = ::pwrite(fd, from.data() + put, from.size() - put,
                                  static_cast<off_t>(offset + static_cast<int64_t>(put)));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) return errno;
    if (part == 0) return EIO;
    put += static_cast<size_t>(part);
  }
  return 0;
}

std::span<std::byte> chunk_buffer() {
  thread_local const auto buffer = std::make_unique<std::byte[]>(kIoChunkBytes);
  return {buffer.get(), kIoChunkBytes};
}

bool needs_touch(const struct stat& info) { return now_ns() - mtime_ns(info) > kTouchAfterNs; }

// A page's file, opened without following links and without waiting for the other end of a FIFO.
struct OpenedPage {
  int fd = -1;
  struct stat info {};
  PageIo io;  // when fd < 0
};

OpenedPage open_page(const std::string& path, Bad then) {
  OpenedPage page;
  page.fd = ::open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
  if (page.fd < 0) {
    const int error = errno;
    if (error == ENOENT || error == ENOTDIR)
      page.io.result = PageIo::Result::kMissing;
    else if (error == ELOOP || error == ENXIO)  // a link; a socket
      page.io = bad(path, nullptr, fmt::format("[kv page] {}: not a regular file", path), then);
    else
      page.io = system_error(error, "open", path);
    return page;
  }
  const int error = ::fstat(page.fd, &page.info) != 0 ? errno : 0;
  if (error == 0 && S_ISREG(page.info.st_mode)) return page;
  ::close(std::exchange(page.fd, -1));
  page.io = error != 0 ? system_error(error, "read", path)
                       : bad(path, nullptr, fmt::format("[kv page] {}: not a regular file", path), then);
  return page;
}

// Header and payload of an open page; `check` says what is wrong with a good header, or nothing.
PageIo read_opened(const OpenedPage& page, const std::string& path, Bad then, const IoHook& hook,
                   PageHeader& header, const std::function<std::string(const PageHeader&)>& check,
                   const std::function<bool(size_t, std::span<const std::byte>)>& take) {
  const auto refuse = [&](const std::string& reason) {
    return bad(path, &page.info, fmt::format("[kv page] {}: {}", path, reason), then);
  };
  PageHeaderBytes bytes;
  size_t got = 0;
  if (!go_on(hook)) return abandoned();
  if (const int error = read_all(page.fd, bytes, 0, got)) return system_error(error, "read", path);
  if (got < bytes.size()) return refuse(fmt::format("{} bytes, a header has {}", got, bytes.size()));
  try {
    header = parse_page_header(bytes, page.info.st_size, path);
  } catch (const Error& e) {
    return bad(path, &page.info, e.what(), then);
  }
  if (const std::string reason = check(header); !reason.empty()) return refuse(reason);
  PageIo io;
  io.bytes = page.info.st_size;
  if (!take) return io;
  PageChecksum sum(bytes);
  const auto buffer = chunk_buffer();
  const auto payload_bytes = static_cast<size_t>(header.payload_bytes);
  for (size_t offset = 0; offset < payload_bytes; offset += got) {
    const auto chunk = buffer.first(std::min(buffer.size(), payload_bytes - offset));
    if (!go_on(hook)) return abandoned();
    if (const int error = read_all(page.fd, chunk, static_cast<int64_t>(kPageHeaderBytes + offset), got))
      return system_error(error, "read", path);
    if (got < chunk.size()) return refuse("cut while it was read");
    sum.add(chunk);
    if (!take(offset, chunk)) return abandoned();
  }
  return sum.finish() == stored_checksum(bytes) ? io : refuse("the checksum does not match");
}

// The file under its temporary name, whole and synced; 0 or errno, -1 when the caller gave up.
int write_temporary(Descriptor& file, const PageHeader& header, const IoHook& hook,
                    const std::function<bool(size_t, std::span<std::byte>)>& give) {
  PageHeaderBytes bytes = encode_page_header(header);
  PageChecksum sum(bytes);
  const auto buffer = chunk_buffer();
  const auto payload_bytes = static_cast<size_t>(header.payload_bytes);
  for (size_t offset = 0; offset < payload_bytes; offset += kIoChunkBytes) {
    const auto chunk = buffer.first(std::min(buffer.size(), payload_bytes - offset));
    if (!go_on(hook) || !give(offset, chunk)) return -1;
    sum.add(chunk);
    if (const int error = write_all(file.get(), chunk, static_cast<int64_t>(kPageHeaderBytes + offset)))
      return error;
  }
  set_checksum(bytes, sum.finish());
  if (!go_on(hook)) return -1;
  if (const int error = write_all(file.get(), bytes, 0)) return error;
  if (!go_on(hook)) return -1;
  if (::fdatasync(file.get()) != 0) return errno;
  if (const int error = file.close()) return error;
  return go_on(hook) ? 0 : -1;
}

// A new file beside `path`; makes the folder when it is missing, again when somebody who clears the directory
// takes it, or the one above it, away meanwhile.
int create_temporary(const std::string& directory, const PageKey& key, const std::string& temporary) {
  constexpr int kFlags = O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC;
  constexpr int kAttempts = 8;
  for (int attempt = 0;; ++attempt) {
    const int fd = ::open(temporary.c_str(), kFlags, 0600);
    if (fd >= 0 || errno != ENOENT || attempt == kAttempts) return fd;
    if (const int error = make_page_folder(directory, key); error != 0 && error != ENOENT) {
      errno = error;
      return -1;
    }
  }
}

// ENOENT below a directory that is there: what somebody removed at this moment, not the directory's trouble.
PageIo write_error(int error, const char* action, const std::string& path, const std::string& directory) {
  PageIo io = system_error(error, action, path);
  struct stat info {};
  if (error == ENOENT && ::stat(directory.c_str(), &info) == 0 && S_ISDIR(info.st_mode)) io.local = true;
  return io;
}

}  // namespace

PageIo read_page_file(const std::string& directory, const PageHeader& expected, const IoHook& hook,
                      const std::function<bool(size_t, std::span<const std::byte>)>& take) {
  const std::string path = page_path(directory, expected.key);
  if (!go_on(hook)) return abandoned();
  OpenedPage page = open_page(path, Bad::kRemove);
  if (page.fd < 0) return page.io;
  const Descriptor file(page.fd);
  // The disk may fetch the rest while the header is looked at.
  ::posix_fadvise(page.fd, 0, page.info.st_size, POSIX_FADV_WILLNEED);
  PageHeader header;
  const auto check = [&](const PageHeader& found) -> std::string {
    return found.same_page(expected) ? "" : "another page than the one asked for";
  };
  PageIo io = read_opened(page, path, Bad::kRemove, hook, header, check, take);
  if (io.result == PageIo::Result::kOk && needs_touch(page.info)) ::futimens(page.fd, nullptr);
  return io;
}

PageIo write_page_file(const std::string& directory, const PageHeader& header, Present present,
                       const IoHook& hook, const std::function<bool(size_t, std::span<std::byte>)>& give) {
  const std::string path = page_path(directory, header.key);
  const int64_t file_bytes = static_cast<int64_t>(kPageHeaderBytes) + header.payload_bytes;
  if (!go_on(hook)) return abandoned();
  bool replaced = false;
  struct stat info {};
  if (::lstat(path.c_str(), &info) == 0) {
    const bool whole = S_ISREG(info.st_mode) && info.st_size == file_bytes;
    if (whole && present == Present::kKeep) {
      if (needs_touch(info)) ::utimensat(AT_FDCWD, path.c_str(), nullptr, AT_SYMLINK_NOFOLLOW);
      PageIo io;
      io.existed = true;
      return io;
    }
    replaced = true;
    if (!whole) (void)bad(path, &info, "", Bad::kRemove);
  } else if (errno != ENOENT) {
    return system_error(errno, "write", path);
  }
  const std::string temporary = temporary_name(path);
  Descriptor file(create_temporary(directory, header.key, temporary));
  if (file.get() < 0) return write_error(errno, "create", temporary, directory);
  int error = write_temporary(file, header, hook, give);
  if (error == 0 && ::rename(temporary.c_str(), path.c_str()) != 0) error = errno;
  if (error != 0) {
    ::unlink(temporary.c_str());
    return error < 0 ? abandoned() : write_error(error, "write", path, directory);
  }
  const std::string folder = page_folder(directory, header.key);
  error = sync_folder(folder);
  if (error != 0) return write_error(error, "sync", folder, directory);
  PageIo io;
  io.bytes = file_bytes;
  io.replaced = replaced;
  return io;
}

PageIo inspect_page_file(const std::string& path, const PageKey& name, bool header_only, PageHeader& header) {
  OpenedPage page = open_page(path, Bad::kKeep);
  if (page.fd < 0) return page.io;
  const Descriptor file(page.fd);
  const auto check = [&](const PageHeader& found) -> std::string {
    return found.key == name ? "" : "another page than its name says";
  };
  std::function<bool(size_t, std::span<const std::byte>)> take;
  if (!header_only) take = [](size_t, std::span<const std::byte>) { return true; };
  return read_opened(page, path, Bad::kKeep, {}, header, check, take);
}

PageIo probe_reading(const std::string& directory) {
  DIR* const handle = ::opendir(directory.c_str());
  if (handle == nullptr) return errno == ENOENT ? PageIo{} : system_error(errno, "list", directory);
  errno = 0;
  const int error = ::readdir(handle) == nullptr ? errno : 0;
  ::closedir(handle);
  return error == 0 ? PageIo{} : system_error(error, "list", directory);
}

PageIo probe_writing(const std::string& directory, int64_t payload_bytes) {
  if (const int error = make_private_directory(directory)) return system_error(error, "create", directory);
  const std::string temporary = temporary_name(directory + "/probe.page");
  Descriptor file(::open(temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
  if (file.get() < 0) return system_error(errno, "write", directory);
  int error = 0;
  // Room for a whole page, where the file system can tell without writing it.
  if (::fallocate(file.get(), 0, 0, static_cast<off_t>(kPageHeaderBytes) + payload_bytes) != 0 &&
      (errno == ENOSPC || errno == EDQUOT || errno == EIO))
    error = errno;
  const auto block = chunk_buffer().first(4096);
  std::ranges::fill(block, std::byte{0});
  if (error == 0) error = write_all(file.get(), block, 0);
  if (error == 0 && ::fdatasync(file.get()) != 0) error = errno;
  const int closed = file.close();
  ::unlink(temporary.c_str());
  if (error == 0) error = closed;
  return error == 0 ? PageIo{} : system_error(error, "write", directory);
}

int sync_folder(const std::string& folder) {
  const Descriptor file(::open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (file.get() < 0) return errno;
  // Some network file systems cannot sync a folder, and keep its names at once.
  return ::fsync(file.get()) == 0 || errno == EINVAL ? 0 : errno;
}

}  // namespace hadal::engine
