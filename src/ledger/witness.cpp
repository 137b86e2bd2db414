#include "ledger/witness.h"

#include <fcntl.h>
#include <linux/tcp.h>
#include <netinet/in.h>
#include <signal.h>
#include <spawn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "base/log.h"

extern char** environ;

namespace hadal::ledger {

namespace {

// Where the witness finds what it needs.
constexpr int kChannel = 3;
constexpr int kJournal = 4;

enum What : uint32_t { kWatch = 1, kForget = 2 };

struct Message {
  uint32_t what;
  uint32_t slot;
};

union Control {
  cmsghdr head;
  char bytes[CMSG_SPACE(sizeof(int))];
};

// The socket that came with a message, or -1.
int received_socket(const msghdr& message) {
  for (cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), part)) {
    if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS) continue;
    int socket = -1;
    std::memcpy(&socket, CMSG_DATA(part), sizeof socket);
    return socket;
  }
  return -1;
}

void resolve_all(Journal& journal, const std::unordered_map<uint32_t, int>& sockets) {
  int resolved = 0;
  int left = 0;
  for (const auto& [slot, socket] : sockets) {
    const auto pending = journal.pending(slot);
    const uint64_t now = bytes_taken(socket);
    if (!pending || pending->before == kUnknownBytes || now == kUnknownBytes) continue;
    const bool has_left = now >= pending->before + pending->size;
    journal.resolve(slot, has_left);
    ++resolved;
    left += has_left ? 1 : 0;
  }
  if (resolved > 0) {
    std::fprintf(stderr,
                 "ledger-witness: %d writes were under way when the server ended; %d of them had left\n",
                 resolved, left);
  }
}

int run_witness() {
  // What stops the server by a signal to all its group is none of the witness's business: it sees the end.
  for (const int signal : {SIGINT, SIGTERM, SIGHUP, SIGQUIT}) ::signal(signal, SIG_IGN);
  ::prctl(PR_SET_NAME, "ledger-witness");
  rlimit files{};  // a descriptor for each request that is under way
  if (::getrlimit(RLIMIT_NOFILE, &files) == 0) {
    files.rlim_cur = files.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &files);
  }
  ::close_range(kJournal + 1, ~0U, 0);  // what came along: the listening socket must not outlive the server
  const auto journal = Journal::attach(kJournal);
  std::unordered_map<uint32_t, int> sockets;
  for (;;) {
    Message said{};
    Control control{};
    iovec part{&said, sizeof said};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    const ssize_t n = ::recvmsg(kChannel, &message, MSG_CMSG_CLOEXEC);
    if (n < 0 && errno == EINTR) continue;
    if (n != sizeof said) break;  // the server has ended
    const int socket = received_socket(message);
    if (const auto old = sockets.find(said.slot); old != sockets.end()) {
      ::close(old->second);
      sockets.erase(old);
    }
    if (said.what == kWatch && socket >= 0) sockets[said.slot] = socket;
  }
  resolve_all(*journal, sockets);
  return 0;
}

}  // namespace

bool run_as_witness(int argc, char** argv, int& status) {
  if (argc != 2 || std::string_view(argv[1]) != kWitnessFlag) return false;
  try {
    status = run_witness();
  } catch (const std::exception& e) {
    spdlog::error("ledger: the witness ends: {}", e.what());
    status = 1;
  }
  return true;
}

uint64_t bytes_taken(int socket) {
  tcp_info info{};
  socklen_t size = sizeof info;
  if (::getsockopt(socket, IPPROTO_TCP, TCP_INFO, &info, &size) != 0) return kUnknownBytes;
  if (size < offsetof(tcp_info, tcpi_bytes_retrans) + sizeof info.tcpi_bytes_retrans) return kUnknownBytes;
  // What was sent for the first time, and what waits to be.
  return info.tcpi_bytes_sent - info.tcpi_bytes_retrans + info.tcpi_notsent_bytes;
}

Witness::Witness(const Journal& journal) {
  int pair[2];
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) != 0) {
    spdlog::warn("ledger: no witness: {}", std::strerror(errno));
    return;
  }
  // Two copies above the numbers that they get, so that dup2() in the child cannot step on either.
  const int channel = ::fcntl(pair[1], F_DUPFD_CLOEXEC, 16);
  const int file = ::fcntl(journal.descriptor(), F_DUPFD_CLOEXEC, 16);
  ::close(pair[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, channel, kChannel);
  ::posix_spawn_file_actions_adddup2(&actions, file, kJournal);
  std::string name = "ledger-witness";
  std::string flag = kWitnessFlag;
  char* arguments[] = {name.data(), flag.data(), nullptr};
  const int error = ::posix_spawn(&pid_, "/proc/self/exe", &actions, nullptr, arguments, environ);
  ::posix_spawn_file_actions_destroy(&actions);
  ::close(channel);
  ::close(file);
  if (error != 0) {
    spdlog::warn("ledger: no witness: {}", std::strerror(error));
    ::close(pair[0]);
    return;
  }
  channel_ = pair[0];
}

Witness::~Witness() {
  if (channel_ < 0) return;
  ::close(channel_);
  ::waitpid(pid_, nullptr, 0);
}

void Witness::watch(size_t slot, int socket) { say(kWatch, slot, socket); }
void Witness::forget(size_t slot) { say(kForget, slot, -1); }

void Witness::say(uint32_t what, size_t slot, int socket) {
  if (channel_ < 0) return;
  Message said{what, static_cast<uint32_t>(slot)};
  Control control{};
  iovec part{&said, sizeof said};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  if (socket >= 0) {
    message.msg_control = control.bytes;
    message.msg_controllen = sizeof control.bytes;
    cmsghdr* head = CMSG_FIRSTHDR(&message);
    head->cmsg_level = SOL_SOCKET;
    head->cmsg_type = SCM_RIGHTS;
    head->cmsg_len = CMSG_LEN(sizeof(int));
    std::memcpy(CMSG_DATA(head), &socket, sizeof socket);
  }
  while (::sendmsg(channel_, &message, MSG_NOSIGNAL) < 0 && errno == EINTR) {
  }
}

}  // namespace hadal::ledger
