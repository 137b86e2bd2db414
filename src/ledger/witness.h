// Who says, after the server was killed, whether a write that was under way has left. The kernel delivers
// what it took from a process that dies; but the process that would note "it took it" is the one that is
// dead. So a small second process of the same program holds a duplicate of each connection with a metered
// answer, and the journal's file. When the server dies it asks the kernel how many bytes each of them took,
// resolves what is pending in the journal, and ends; the connections close with it.
#pragma once

#include <cstdint>

#include "ledger/journal.h"

namespace hadal::ledger {

// How many bytes the kernel has taken on a TCP connection since it began (a difference of two is exact), or
// kUnknownBytes where it does not say.
inline constexpr uint64_t kUnknownBytes = ~uint64_t{0};
uint64_t bytes_taken(int socket);

class Witness {
 public:
  // Starts the process (this program, with kWitnessFlag as its only argument). Where that fails the server
  // goes without, and says so in its log.
  explicit Witness(const Journal& journal);
  // The server ends in good order: the process goes, with nothing to resolve.
  ~Witness();
  Witness(const Witness&) = delete;
  Witness& operator=(const Witness&) = delete;

  // Any thread. From now on `socket` belongs to the journal's slot, until forget().
  void watch(size_t slot, int socket);
  void forget(size_t slot);

 private:
  void say(uint32_t what, size_t slot, int socket);
  int channel_ = -1;
  int pid_ = -1;
};

inline constexpr const char* kWitnessFlag = "--ledger-witness";

// The other process's main(): true when the program was started as one; `status` is then its exit status.
bool run_as_witness(int argc, char** argv, int& status);

}  // namespace hadal::ledger
