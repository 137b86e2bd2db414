// The real program as a child process, to be killed, starved of disk and interrupted.
#pragma once

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace hadal::test {

inline void sleep_ms(int ms) { std::this_thread::sleep_for(std::chrono::milliseconds(ms)); }

class Child {
 public:
  // Runs HADAL_BINARY with the arguments; stdout and stderr go to the file `output`. With file_limit_bytes >
  // 0 no file of the child can grow beyond it: writes fail as on a full disk (EFBIG instead of ENOSPC).
  Child(std::vector<std::string> arguments, const std::string& output, rlim_t file_limit_bytes = 0) {
    arguments.insert(arguments.begin(), HADAL_BINARY);
    std::vector<char*> argv;
    for (std::string& a : arguments) argv.push_back(a.data());
    argv.push_back(nullptr);
    pid_ = ::fork();
    if (pid_ != 0) return;
    const int fd = ::open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
    ::dup2(fd, STDOUT_FILENO);
    ::dup2(fd, STDERR_FILENO);
    if (file_limit_bytes > 0) {
      ::signal(SIGXFSZ, SIG_IGN);  // inherited: write() returns EFBIG instead of killing
      const rlimit limit{file_limit_bytes, file_limit_bytes};
      ::setrlimit(RLIMIT_FSIZE, &limit);
    }
    ::execv(argv[0], argv.data());
    ::_exit(127);
  }
  ~Child() {
    if (!ended_) {
      ::kill(pid_, SIGKILL);
      wait();
    }
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  void kill(int signal) { ::kill(pid_, signal); }
  bool running() {
    if (!ended_ && ::waitpid(pid_, &status_, WNOHANG) == pid_) ended_ = true;
    return !ended_;
  }
  // The exit status, or 128 + signal.
  int wait() {
    if (!ended_) ::waitpid(pid_, &status_, 0);
    ended_ = true;
    return WIFEXITED(status_) ? WEXITSTATUS(status_) : 128 + WTERMSIG(status_);
  }

 private:
  pid_t pid_ = -1;
  int status_ = 0;
  bool ended_ = false;
};

}  // namespace hadal::test
