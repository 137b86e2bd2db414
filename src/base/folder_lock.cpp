#include "base/folder_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <filesystem>
#include <system_error>

#include "base/error.h"

namespace hadal::base {

FolderLock::FolderLock(const std::string& folder, const std::string& area, const std::string& works) {
  std::error_code error;
  std::filesystem::create_directories(folder, error);
  if (error) throw_error(ErrorCode::kIo, "[{}] cannot create {}: {}", area, folder, error.message());
  fd_ = ::open((folder + "/.lock").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd_ < 0) throw_error(ErrorCode::kIo, "[{}] cannot write in {}", area, folder);
  if (::flock(fd_, LOCK_EX | LOCK_NB) != 0) {
    ::close(fd_);
    throw_error(ErrorCode::kBadInput, "[{}] {}: another process {} here; choose another --out", area, folder,
                works);
  }
}

FolderLock::~FolderLock() { ::close(fd_); }

}  // namespace hadal::base
