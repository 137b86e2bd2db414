#include "eval/verify/sandbox.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <poll.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "eval/verify/answer_text.h"
#include "eval/verify/seccomp_filter.h"

namespace hadal::eval {
namespace {

constexpr int kWatchMs = 10;
constexpr int64_t kMostFiles = 4096;  // in /tmp, about as often as we look
constexpr double kDyingSeconds = 5;   // after the kill, for the kernel to end every process
constexpr int kProgramFd = 10, kFilterFd = 11;
constexpr int kFirstFreeFd = 12;
constexpr int kOwnProcesses = 2;  // bwrap inside and outside the namespace

[[noreturn]] void system_error(const char* what) {
  throw_error(ErrorCode::kIo, "[sandbox] {}: {}", what, std::strerror(errno));
}

class Fd {
 public:
  explicit Fd(int fd = -1) : fd_(fd) {}
  ~Fd() { close(); }
  Fd(Fd&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Fd& operator=(Fd&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  int get() const { return fd_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }

 private:
  int fd_;
};

// The same file with a number that the child's own do not collide with.
Fd high(int fd) {
  const Fd low(fd);
  Fd out(::fcntl(fd, F_DUPFD_CLOEXEC, 64));
  if (out.get() < 0) system_error("fcntl");
  return out;
}

// A file in memory, to be read from its beginning and never written.
Fd memory_file(std::string_view bytes) {
  Fd file(::memfd_create("hadal-sandbox", MFD_CLOEXEC));
  if (file.get() < 0) system_error("memfd_create");
  while (!bytes.empty()) {
    const ssize_t n = ::write(file.get(), bytes.data(), bytes.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) system_error("write");
    bytes.remove_prefix(static_cast<size_t>(n));
  }
  const int again = ::open(fmt::format("/proc/self/fd/{}", file.get()).c_str(), O_RDONLY | O_CLOEXEC);
  if (again < 0) system_error("open");
  return high(again);
}

struct Pipe {
  Fd read, write;
  Pipe() {
    int fds[2];
    if (::pipe2(fds, O_CLOEXEC) != 0) system_error("pipe");
    read = Fd(fds[0]);
    write = high(fds[1]);
    ::fcntl(read.get(), F_SETFL, O_NONBLOCK);
  }
};

// Every process below `pid`, itself included.
void descendants(pid_t pid, std::vector<pid_t>* out) {
  out->push_back(pid);
  const std::string tasks = fmt::format("/proc/{}/task", pid);
  DIR* directory = ::opendir(tasks.c_str());
  if (directory == nullptr) return;
  std::vector<pid_t> children;
  while (const dirent* entry = ::readdir(directory)) {
    if (entry->d_name[0] == '.') continue;
    FILE* file = std::fopen((tasks + "/" + entry->d_name + "/children").c_str(), "re");
    if (file == nullptr) continue;
    int child = 0;
    while (std::fscanf(file, "%d", &child) == 1) children.push_back(child);
    std::fclose(file);
  }
  ::closedir(directory);
  // More than any limit allows: the rest would only be counted.
  for (const pid_t child : children)
    if (out->size() < 4096) descendants(child, out);
}

// Names in the /tmp of the sandbox: an empty file costs the kernel a kilobyte that no limit on bytes sees. Of
// the newest process that has another /tmp than ours; 0 while there is none.
int64_t files_in_tmp(const std::vector<pid_t>& processes) {
  struct stat own {
  }, theirs{};
  if (::stat("/tmp", &own) != 0) return 0;
  for (auto pid = processes.rbegin(); pid != processes.rend(); ++pid) {
    const std::string path = fmt::format("/proc/{}/root/tmp", *pid);
    struct statvfs about {};
    if (::stat(path.c_str(), &theirs) != 0 || theirs.st_dev == own.st_dev) continue;
    if (::statvfs(path.c_str(), &about) == 0 && about.f_files > about.f_ffree)
      return static_cast<int64_t>(about.f_files - about.f_ffree);
  }
  return 0;
}

int64_t resident_bytes(pid_t pid) {
  FILE* file = std::fopen(fmt::format("/proc/{}/statm", pid).c_str(), "re");
  if (file == nullptr) return 0;
  long long total = 0, resident = 0;
  const bool good = std::fscanf(file, "%lld %lld", &total, &resident) == 2;
  std::fclose(file);
  return good ? resident * ::sysconf(_SC_PAGESIZE) : 0;
}

std::string find_bwrap() {
  const char* path = std::getenv("PATH");
  std::string_view rest = path != nullptr ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const size_t end = std::min(rest.find(':'), rest.size());
    std::string candidate = std::string(rest.substr(0, end)) + "/bwrap";
    if (::access(candidate.c_str(), X_OK) == 0) return candidate;
    rest.remove_prefix(std::min(end + 1, rest.size()));
  }
  throw_error(ErrorCode::kUnsupported,
              "[sandbox] no bwrap on the PATH; install the Debian package bubblewrap");
}

std::vector<std::string> command_line(const SandboxLimits& limits, const std::string& bwrap, bool filter,
                                      std::string_view language) {
  std::vector<std::string> out;
  // Root's processes escape RLIMIT_NPROC, and root's user id opens root's files: nobody has neither.
  if (::geteuid() == 0) {
    for (const char* word :
         {"/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups", "--no-new-privs", "--"})
      out.emplace_back(word);
  }
  out.push_back(bwrap);
  for (const char* word : {"--unshare-all",
                           "--unshare-user",
                           "--disable-userns",
                           "--die-with-parent",
                           "--new-session",
                           "--cap-drop",
                           "ALL",
                           "--clearenv",
                           "--setenv",
                           "PATH",
                           "/usr/bin:/bin",
                           "--setenv",
                           "HOME",
                           "/tmp",
                           "--setenv",
                           "LANG",
                           "C.UTF-8",
                           "--setenv",
                           "PYTHONHASHSEED",
                           "0",
                           "--hostname",
                           "sandbox",
                           "--uid",
                           "1000",
                           "--gid",
                           "1000",
                           "--ro-bind",
                           "/usr",
                           "/usr",
                           "--symlink",
                           "usr/bin",
                           "/bin",
                           "--symlink",
                           "usr/lib",
                           "/lib",
                           "--symlink",
                           "usr/lib64",
                           "/lib64",
                           "--proc",
                           "/proc",
                           "--dev",
                           "/dev",
                           "--remount-ro",
                           "/dev"})
    out.emplace_back(word);
  const auto add = [&](std::initializer_list<std::string> words) { out.insert(out.end(), words); };
  add({"--size", std::to_string(limits.file_bytes), "--tmpfs", "/tmp"});
  add({"--perms", "0444", "--ro-bind-data", std::to_string(kProgramFd), "/program"});
  add({"--remount-ro", "/", "--chdir", "/tmp"});
  if (filter) add({"--seccomp", std::to_string(kFilterFd)});
  // Inside, so that the kernel counts the namespace's processes, not the user's.
  const auto cpu = static_cast<int64_t>(std::ceil(limits.seconds)) + 1;
  add({"--", "/usr/bin/prlimit", fmt::format("--nproc={0}:{0}", limits.processes),
       fmt::format("--as={0}:{0}", limits.memory_bytes), fmt::format("--fsize={0}:{0}", limits.file_bytes),
       fmt::format("--cpu={0}:{0}", cpu), "--nofile=64:64", "--core=0:0", "--"});
  if (language == "sh")
    add({"/bin/sh", "/program"});
  else
    add({"/usr/bin/python3", "-s", "-S", "-B", "/program"});
  return out;
}

// One run: owns the process, and never leaves it behind.
class Run {
 public:
  Run(const SandboxLimits& limits, const std::vector<std::string>& command, std::string_view program,
      const std::string& filter, std::string_view input)
      : limits_(limits), began_(base::monotonic_seconds()) {
    const Fd program_file = memory_file(program);
    const Fd input_file = memory_file(input);
    const Fd filter_file = memory_file(filter);
    start(command, program_file, input_file, filter_file);
    out_.write.close();
    err_.write.close();
  }
  ~Run() {
    if (pid_ > 0) end();
  }
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  SandboxResult wait() {
    while (true) {
      read_for(kWatchMs);
      int status = 0;
      const pid_t ended = ::waitpid(pid_, &status, WNOHANG);
      if (ended == pid_) {
        pid_ = -1;
        result_.status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
        break;
      }
      if (over_limit()) {
        end();
        break;
      }
    }
    drain();
    result_.seconds = base::monotonic_seconds() - began_;
    return std::move(result_);
  }

 private:
  void start(const std::vector<std::string>& command, const Fd& program, const Fd& input, const Fd& filter) {
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    ::posix_spawn_file_actions_init(&files);
    ::posix_spawnattr_init(&attributes);
    ::posix_spawn_file_actions_adddup2(&files, input.get(), 0);
    ::posix_spawn_file_actions_adddup2(&files, out_.write.get(), 1);
    ::posix_spawn_file_actions_adddup2(&files, err_.write.get(), 2);
    ::posix_spawn_file_actions_adddup2(&files, program.get(), kProgramFd);
    ::posix_spawn_file_actions_adddup2(&files, filter.get(), kFilterFd);
    for (int fd = 3; fd < kProgramFd; ++fd) ::posix_spawn_file_actions_addclose(&files, fd);
    ::posix_spawn_file_actions_addclosefrom_np(&files, kFirstFreeFd);
    sigset_t all, none;
    sigfillset(&all);
    sigemptyset(&none);
    ::posix_spawnattr_setsigdefault(&attributes, &all);
    ::posix_spawnattr_setsigmask(&attributes, &none);
    ::posix_spawnattr_setpgroup(&attributes, 0);  // Ctrl-C is for us, the group is for the kill
    ::posix_spawnattr_setflags(&attributes,
                               POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK);
    std::vector<char*> argv;
    for (const std::string& word : command) argv.push_back(const_cast<char*>(word.c_str()));
    argv.push_back(nullptr);
    const int failed = ::posix_spawn(&pid_, argv[0], &files, &attributes, argv.data(), environ);
    ::posix_spawn_file_actions_destroy(&files);
    ::posix_spawnattr_destroy(&attributes);
    if (failed == 0) return;
    pid_ = -1;
    throw_error(failed == ENOENT ? ErrorCode::kUnsupported : ErrorCode::kIo,
                "[sandbox] {} does not start: {}", command[0], std::strerror(failed));
  }

  // What has come on a pipe, up to the limit of output. False: its end.
  bool read_some(Fd& fd, std::string* text) {
    char buffer[16384];
    while (fd.get() >= 0) {
      const ssize_t n = ::read(fd.get(), buffer, sizeof buffer);
      if (n < 0 && (errno == EAGAIN || errno == EINTR)) return true;
      if (n <= 0) {
        fd.close();
        return false;
      }
      const auto room = static_cast<size_t>(limits_.output_bytes) - text->size();
      text->append(buffer, std::min(room, static_cast<size_t>(n)));
      if (static_cast<size_t>(n) <= room) continue;
      too_much_output_ = true;
      return true;  // the rest waits for the kill
    }
    return false;
  }

  void read_for(int milliseconds) {
    pollfd fds[2] = {{out_.read.get(), POLLIN, 0}, {err_.read.get(), POLLIN, 0}};
    ::poll(fds, 2, milliseconds);
    read_some(out_.read, &result_.output);
    read_some(err_.read, &result_.errors);
    // Both closed, yet it runs: poll would return at once.
    if (out_.read.get() < 0 && err_.read.get() < 0) ::usleep(1000);
  }

  bool over_limit() {
    std::vector<pid_t> processes;
    descendants(pid_, &processes);
    int64_t resident = 0;
    for (const pid_t pid : processes) resident += resident_bytes(pid);
    result_.peak_memory_bytes = std::max(result_.peak_memory_bytes, resident);
    if (too_much_output_)
      result_.end = SandboxEnd::kOutput;
    else if (base::monotonic_seconds() - began_ > limits_.seconds)
      result_.end = SandboxEnd::kTime;
    else if (resident > limits_.memory_bytes || files_in_tmp(processes) > kMostFiles)
      result_.end = SandboxEnd::kMemory;
    else if (static_cast<int>(processes.size()) > limits_.processes + kOwnProcesses)
      result_.end = SandboxEnd::kProcesses;
    return result_.end != SandboxEnd::kExited;
  }

  // Kills bwrap; the namespace's first process dies with it, and the kernel kills all others.
  void end() {
    ::kill(-pid_, SIGKILL);
    ::kill(pid_, SIGKILL);
    while (::waitpid(pid_, nullptr, 0) < 0 && errno == EINTR) {
    }
    pid_ = -1;
  }

  // Until nobody holds the pipes any more: then everything that ran is gone.
  void drain() {
    const double until = base::monotonic_seconds() + kDyingSeconds;
    std::string rest;
    while ((out_.read.get() >= 0 || err_.read.get() >= 0) && base::monotonic_seconds() < until) {
      const bool stop = too_much_output_;
      pollfd fds[2] = {{out_.read.get(), POLLIN, 0}, {err_.read.get(), POLLIN, 0}};
      ::poll(fds, 2, kWatchMs);
      rest.clear();
      read_some(out_.read, stop ? &rest : &result_.output);
      rest.clear();
      read_some(err_.read, stop ? &rest : &result_.errors);
    }
    if (too_much_output_) result_.end = SandboxEnd::kOutput;
  }

  const SandboxLimits& limits_;
  double began_;
  Pipe out_, err_;
  pid_t pid_ = -1;
  bool too_much_output_ = false;
  SandboxResult result_;
};

}  // namespace

std::string_view sandbox_end_name(SandboxEnd end) {
  switch (end) {
    case SandboxEnd::kExited:
      return "exited";
    case SandboxEnd::kTime:
      return "time limit";
    case SandboxEnd::kMemory:
      return "memory limit";
    case SandboxEnd::kProcesses:
      return "process limit";
    case SandboxEnd::kOutput:
      break;
  }
  return "output limit";
}

Sandbox::Sandbox(const SandboxLimits& limits, const std::string& bwrap)
    : limits_(limits), bwrap_(bwrap.empty() ? find_bwrap() : bwrap) {
  SandboxResult result;
  {
    // Its own limits are not the question here.
    const std::string filter = seccomp_filter();
    const SandboxLimits roomy{.seconds = 20, .memory_bytes = int64_t{1} << 30, .processes = 32};
    result = Run(roomy, command_line(roomy, bwrap_, !filter.empty(), "sh"), "exit 7", filter, "").wait();
  }
  if (result.end == SandboxEnd::kExited && result.status == 7) return;
  const std::string_view said = trim(result.errors);
  throw_error(ErrorCode::kUnsupported,
              "[sandbox] {} cannot make namespaces here: {}; it needs user namespaces (sysctl "
              "kernel.unprivileged_userns_clone=1, user.max_user_namespaces > 0; in a container, a seccomp "
              "profile that "
              "allows unshare and mount)",
              bwrap_,
              said.empty() ? fmt::format("status {}", result.status) : said.substr(0, said.find('\n')));
}

SandboxResult Sandbox::run(std::string_view language, std::string_view program,
                           std::string_view input) const {
  if (language != "python" && language != "sh")
    throw_error(ErrorCode::kBadInput, "[sandbox] no language '{}'; there are python and sh", language);
  const std::string filter = seccomp_filter();
  return Run(limits_, command_line(limits_, bwrap_, !filter.empty(), language), program, filter, input)
      .wait();
}

}  // namespace hadal::eval
