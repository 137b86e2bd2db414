// Fetches the files of a hub repository into a folder: several at a time, each resumable and verified.
//
// A file is written to NAME.part, with NAME.part.json saying which content it is a beginning of. It is
// continued with a Range request while the hub still names the same content, hashed, synced and only then
// renamed to NAME: a file under its final name is complete and right, however the process ended.
// `.hadal-pull.json` in the folder records what was verified, so that a second pull of a complete folder
// reads and fetches nothing.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "format/hub_client.h"
#include "format/hub_paths.h"

namespace hadal::format {

struct PullProgress {
  int64_t files = 0;
  int64_t files_done = 0;
  int64_t bytes = 0;          // of all files
  int64_t bytes_done = 0;     // complete or in partial files
  int64_t bytes_fetched = 0;  // received by this process
};

struct PullOptions {
  int parallel = 4;  // files at a time
  // About ten times a second, and at the end, from the caller's thread.
  std::function<void(const PullProgress&)> progress;
};

struct PullResult {
  int64_t files_fetched = 0;
  int64_t files_kept = 0;  // complete already
  int64_t bytes_fetched = 0;
  int64_t bytes = 0;  // of all files
};

// Fetches `files` of `listing` into `folder`, which is made when it is not there. Throws Error for the first
// file that cannot be had (other transfers then end; what they have stays for the next pull):
//   kBadInput  the hub refuses (401, 403, 404), or another process pulls into the folder
//   kIo        the network after all retries, the disk, or bytes that twice are not what the list promises:
//   then
//              nothing remains of that file
//   kResource  not enough room on the disk, said before anything is fetched
//   kCancelled options.stopped()
PullResult pull_files(const HubOptions& options, const HubListing& listing, std::span<const HubFile> files,
                      const std::string& folder, const PullOptions& pull = {});

}  // namespace hadal::format
