// Many client connections on one thread, on the loopback network.
#pragma once

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>
#include <unordered_map>

namespace hadal::bench {

inline int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

class EventLoop;

struct Peer {
  int fd = -1;
  size_t index = 0;
  std::string out;  // what is still to be sent
  bool reads = true;
  bool connected = false;
  int64_t started_ns = 0;
  int step = 0;     // the mode's own
  std::string in;   // the mode's own
  size_t want = 0;  // the mode's own
};

class EventLoop {
 public:
  using OnData = std::function<void(Peer&, std::string_view)>;
  using OnEnd = std::function<void(Peer&)>;  // the other side has closed, or refused

  EventLoop(uint16_t port, size_t sources)
      : port_(port), sources_(sources), epoll_(::epoll_create1(EPOLL_CLOEXEC)) {
    rlimit limit{};
    ::getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
  }
  ~EventLoop() {
    for (auto& [fd, peer] : peers_) ::close(fd);
    ::close(epoll_);
  }
  EventLoop(const EventLoop&) = delete;
  EventLoop& operator=(const EventLoop&) = delete;

  OnData on_data;
  OnEnd on_end;

  // Connects from 127.0.1.x: a client address has 28,000 ports or so, and the server counts by address.
  Peer& connect(size_t index, std::string out, int receive_buffer = 0) {
    const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) throw std::runtime_error(std::string("socket: ") + std::strerror(errno));
    const int yes = 1;
    ::setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &yes, sizeof yes);
    ::setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    if (receive_buffer > 0) ::setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_buffer, sizeof receive_buffer);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(0x7F000100u + static_cast<uint32_t>(index % sources_) + 1);
    if (::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
      throw std::runtime_error(std::string("bind: ") + std::strerror(errno));
    }
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    address.sin_port = htons(port_);
    if (::connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 && errno != EINPROGRESS) {
      throw std::runtime_error(std::string("connect: ") + std::strerror(errno));
    }
    auto peer = std::make_unique<Peer>();
    peer->fd = fd;
    peer->index = index;
    peer->out = std::move(out);
    peer->started_ns = now_ns();
    Peer& made = *peer;
    peers_.emplace(fd, std::move(peer));
    epoll_event event{};
    event.events = EPOLLIN | EPOLLOUT;
    event.data.fd = fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_ADD, fd, &event);
    return made;
  }

  void send(Peer& peer, std::string_view bytes) {
    peer.out += bytes;
    flush(peer);
  }

  void close(Peer& peer) {
    const int fd = peer.fd;
    ::close(fd);
    peers_.erase(fd);
  }

  void update(Peer& peer) {
    epoll_event event{};
    event.events = (peer.reads ? EPOLLIN : 0u) | (peer.out.empty() && peer.connected ? 0u : EPOLLOUT);
    event.data.fd = peer.fd;
    ::epoll_ctl(epoll_, EPOLL_CTL_MOD, peer.fd, &event);
  }

  size_t open() const { return peers_.size(); }

  template <typename Visit>
  void for_each(Visit&& visit) {
    std::vector<int> fds;
    for (const auto& [fd, peer] : peers_) fds.push_back(fd);
    for (const int fd : fds) {
      if (const auto found = peers_.find(fd); found != peers_.end()) visit(*found->second);
    }
  }

  // Handles what has happened; waits at most so long for it.
  void poll(int milliseconds) {
    epoll_event events[512];
    const int n = ::epoll_wait(epoll_, events, 512, milliseconds);
    for (int i = 0; i < n; ++i) {
      const auto found = peers_.find(events[i].data.fd);
      if (found == peers_.end()) continue;
      Peer& peer = *found->second;
      if ((events[i].events & (EPOLLIN | EPOLLERR | EPOLLHUP)) != 0 && !read(peer)) continue;
      if ((events[i].events & EPOLLOUT) != 0) {
        peer.connected = true;
        flush(peer);
      }
    }
  }

 private:
  void flush(Peer& peer) {
    while (!peer.out.empty()) {
      const ssize_t n = ::send(peer.fd, peer.out.data(), peer.out.size(), MSG_NOSIGNAL);
      if (n <= 0) break;
      peer.out.erase(0, static_cast<size_t>(n));
    }
    update(peer);
  }

  // False when the peer is gone.
  bool read(Peer& peer) {
    char buffer[65536];
    const int fd = peer.fd;
    const ssize_t n = ::recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EAGAIN) return true;
    if (n <= 0) {
      if (on_end) on_end(peer);
      if (const auto found = peers_.find(fd); found != peers_.end()) close(*found->second);
      return false;
    }
    if (on_data) on_data(peer, {buffer, static_cast<size_t>(n)});
    return peers_.contains(fd);
  }

  uint16_t port_;
  size_t sources_;
  int epoll_;
  std::unordered_map<int, std::unique_ptr<Peer>> peers_;
};

}  // namespace hadal::bench
