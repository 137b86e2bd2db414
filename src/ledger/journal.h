// The requests that are under way, in a memory-mapped file: what each was sent so far. A kill of the process
// leaves the file as it was at that instruction, so that the next start (or a server beside) can settle what
// was open (docs/adr/0013). One file a server, locked while it lives; its path names a number, so that
// several servers on one machine can share a database.
//
// A slot of 512 bytes a request. What was sent is one of two marks: before bytes are handed to the system,
// the other mark is filled in and declared pending; once the system has them, it becomes the valid one, in
// one store. After a kill in between, whether they left is for the witness to say (witness.h).
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ledger/records.h"

namespace hadal::ledger {

// What is known of a request when it begins.
struct OpenRequest {
  std::string request_id;
  std::string key_id;
  std::string model;
  std::string endpoint;
  int64_t started = 0;  // Unix ms
  Price price;
};

// One that was open when its server died.
struct LeftOpen {
  OpenRequest request;
  Tokens sent;
  bool in_doubt = false;  // a write was pending and nobody saw whether it left: it counts as sent
};

class Journal {
 public:
  static constexpr size_t kSlots = 16384;

  // Takes STEM.open-N in `directory` (made where there is none) for the first N that no live server has.
  // Throws Error{kIo}.
  static std::unique_ptr<Journal> open(const std::string& directory, const std::string& stem);
  ~Journal();
  Journal(const Journal&) = delete;
  Journal& operator=(const Journal&) = delete;

  // What dead servers left in this file and in the others of the same stem that nobody has: taken from them
  // by the call of `settle`, which has to have settled them when it returns (it may throw: nothing is lost).
  template <typename Settle>
  void recover(const Settle& settle) {
    for (const int file : left_files()) {
      const std::vector<LeftOpen> open = read_left(file);
      if (!open.empty()) settle(open);
      clear_left(file);
    }
  }

  // ---- Any thread; one thread at a time a slot.

  // A slot, or none when all are taken or a name is too long for one.
  std::optional<size_t> begin(const OpenRequest& request);
  // Bytes that bring what was sent to `total` are about to leave. `before`: what the connection has taken so
  // far (bytes_taken() of witness.h), `size`: how many leave now.
  void sending(size_t slot, const Tokens& total, uint64_t before, uint64_t size);
  void sent(size_t slot);
  Tokens sent_so_far(size_t slot) const;  // without what is pending
  void end(size_t slot);                  // it is settled

  size_t open_count() const;
  bool has(const std::string& request_id, const std::string& key_id) const;  // open, and that key's
  void sync();  // to the disk: what a power cut leaves
  int descriptor() const { return file_; }
  const std::string& path() const { return path_; }

  // ---- For the witness, in its own process.

  // Maps a journal's file. Throws Error{kIo}.
  static std::unique_ptr<Journal> attach(int descriptor);
  struct Pending {
    uint64_t before, size;
  };
  std::optional<Pending> pending(size_t slot) const;
  void resolve(size_t slot, bool left);

 private:
  struct Slot;
  struct Header;
  Journal() = default;
  void map();
  std::vector<int> left_files();
  static std::vector<LeftOpen> read_left(int file);
  void clear_left(int file);

  std::string directory_, stem_, path_;
  int file_ = -1;
  int number_ = -1;
  void* memory_ = nullptr;
  struct Free;
  std::unique_ptr<Free> free_;
};

}  // namespace hadal::ledger
