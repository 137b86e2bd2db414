// One page from and to its file: the system calls, and what their failures mean. Stateless; the page store
// calls these on its threads, `hadal cache` calls them directly.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "engine/kvcache/page_file.h"

namespace hadal::engine {

// Payloads pass through a buffer of this size: it stays in the processor's cache while it is summed and
// copied, and a system call that hangs holds nobody else's memory.
inline constexpr size_t kIoChunkBytes = 256 << 10;

struct PageIo {
  enum class Result {
    kOk,
    kMissing,    // no such file
    kBad,        // there, and not the page that its name says: removed (but by inspect_page_file)
    kError,      // the system refused: `error`
    kAbandoned,  // the caller's hook said so
  };
  Result result = Result::kOk;
  int error = 0;          // errno of kError
  bool local = false;     // kError that concerns this one name, not the directory
  bool existed = false;   // of a write: the page was there already
  bool replaced = false;  // of a write: what lay there was no page, and was removed
  std::string what;       // one line: the file and what is wrong with it
  std::string trouble;    // of kError: the same without the file, so that equal troubles are equal
  int64_t bytes = 0;      // that went from or to the file system
};

// Called before each system call that may take long; false: give up. May be empty.
using IoHook = std::function<bool()>;

// Reads the page `expected` (without its description) and hands out its payload piece by piece, in order,
// before the checksum is known. `take` returns false to give up.
PageIo read_page_file(const std::string& directory, const PageHeader& expected, const IoHook& hook,
                      const std::function<bool(size_t offset, std::span<const std::byte>)>& take);

// What a write does with a file of the right size that has the page's name already.
enum class Present { kKeep, kReplace };

// Writes a page unless it is there; others may remove files and empty folders at any time. Asks for the
// payload piece by piece, in order. No partial file stays.
PageIo write_page_file(const std::string& directory, const PageHeader& header, Present present,
                       const IoHook& hook,
                       const std::function<bool(size_t offset, std::span<std::byte>)>& give);

// Reads whatever page lies at `path` and checks all of it, the name included; fills `header` when the header
// is good. With `header_only` the checksum is not looked at.
PageIo inspect_page_file(const std::string& path, const PageKey& name, bool header_only, PageHeader& header);

// Whether the directory gives pages (it may be missing: then there are none), and whether it takes one of
// `payload_bytes`: makes it when it is not there, writes a temporary file in it and removes that. Return kOk
// or kError.
PageIo probe_reading(const std::string& directory);
PageIo probe_writing(const std::string& directory, int64_t payload_bytes);

int sync_folder(const std::string& folder);  // 0 or errno

}  // namespace hadal::engine
