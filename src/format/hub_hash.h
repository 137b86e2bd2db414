// The hashes by which the hub names content: SHA-256 of a file in large-file storage, and git's blob id
// (SHA-1 of "blob <size>\0" and the bytes) of any other.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

namespace hadal::format {

class ContentHash {
 public:
  // id: "sha256:<hex>" or "git:<hex>", what add() should amount to; `size` goes into a git id.
  ContentHash(const std::string& id, int64_t size);
  ~ContentHash();
  ContentHash(ContentHash&&) noexcept;
  ContentHash& operator=(ContentHash&&) noexcept;

  void add(std::string_view bytes);
  // Adds the first `bytes` of a file; false when it has fewer, or when `stopped` says so. Throws Error{kIo}.
  bool add_file(const std::string& path, int64_t bytes, const std::function<bool()>& stopped);
  // The id of what was added, "sha256:<hex>" or "git:<hex>"; once.
  std::string finish();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace hadal::format
