// One process at a time in a folder: an exclusive flock on `folder`/.lock, which the kernel releases however
// the process ends.
#pragma once

#include <string>

namespace hadal::base {

class FolderLock {
 public:
  // Makes the folder when it is not there. Throws Error "[area] folder: another process <works> here; choose
  // another --out" (kBadInput) when it is taken, kIo when it cannot be written.
  FolderLock(const std::string& folder, const std::string& area, const std::string& works);
  ~FolderLock();
  FolderLock(const FolderLock&) = delete;
  FolderLock& operator=(const FolderLock&) = delete;

 private:
  int fd_ = -1;
};

}  // namespace hadal::base
