// Runs a program that nobody trusts, under bubblewrap (Debian's package bubblewrap, the command bwrap):
// namespaces of its own for users, processes, network (none), IPC and mounts; of the machine's files it sees
// /usr, read-only; it may write to a small /tmp in memory, which goes with it. System calls that hold memory
// or power beyond that are refused (a seccomp filter: memfd_create, shared mappings, shmget, io_uring, bpf,
// keyctl, ...).
//
// Limits: each process has its own of memory, CPU time, files and open files, and the kernel counts processes
// (setrlimit within the user namespace); the sum of memory over all processes is watched every few
// milliseconds, and so is the number of files in /tmp (4096; it counts as memory). What passes a limit is
// killed, with everything that it started. A run never takes longer than its seconds and a moment.
//
// Works for root (who becomes the user nobody first) and for every user who may make user namespaces. What it
// does not protect from: holes of the kernel, and what /usr tells about the machine.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace hadal::eval {

struct SandboxLimits {
  double seconds = 5;                  // by the clock
  int64_t memory_bytes = 256ll << 20;  // of each process, and of all together
  int processes = 16;                  // and threads, at a time
  int64_t file_bytes = 8ll << 20;      // all of /tmp, and the largest file
  int64_t output_bytes = 64ll << 10;   // of standard output, and of standard error
};

enum class SandboxEnd {
  kExited,  // by itself; SandboxResult::status
  kTime,
  kMemory,
  kProcesses,  // more than the limit were there for a moment; most often the kernel refuses and it exits
  kOutput,
};
std::string_view sandbox_end_name(SandboxEnd end);  // "exited", "time limit", ...

struct SandboxResult {
  SandboxEnd end = SandboxEnd::kExited;
  int status = 0;  // with kExited; 128 + N for signal N
  std::string output;
  std::string errors;
  double seconds = 0;
  int64_t peak_memory_bytes = 0;  // as far as it was seen: the sum of resident memory
};

class Sandbox {
 public:
  // Tries it once. Throws Error{kUnsupported} when this machine cannot: no bwrap, or no namespaces; says what
  // to do. `bwrap` is the program; empty: from PATH.
  explicit Sandbox(const SandboxLimits& limits = {}, const std::string& bwrap = "");

  // `language` is "python" (python3, standard library only) or "sh". Any thread, several at once. Throws
  // Error{kBadInput} for another language, kIo when the system refuses a pipe or a process.
  SandboxResult run(std::string_view language, std::string_view program, std::string_view input = "") const;

  const SandboxLimits& limits() const { return limits_; }

 private:
  SandboxLimits limits_;
  std::string bwrap_;
};

}  // namespace hadal::eval
