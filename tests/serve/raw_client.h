// A client that sends exactly the bytes it is told to, for what no well-behaved client sends.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>

#include "base/clock.h"

namespace hadal::test {

class RawClient {
 public:
  // `from`: the client's own address, of 127.0.0.0/8.
  explicit RawClient(uint16_t port, const char* from = nullptr)
      : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    if (from != nullptr) {
      ::inet_pton(AF_INET, from, &address.sin_addr);
      EXPECT_EQ(::bind(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    }
    address.sin_port = htons(port);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    connected_ = ::connect(fd_, reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  }
  ~RawClient() { close(); }
  RawClient(const RawClient&) = delete;
  RawClient& operator=(const RawClient&) = delete;

  bool connected() const { return connected_; }

  // False when the other side has closed.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      const ssize_t n = ::send(fd_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
      if (n <= 0) return false;
      bytes.remove_prefix(static_cast<size_t>(n));
    }
    return true;
  }

  // Waits until `mark` has come (all up to and with it is returned, later bytes are kept), the other side
  // closes, or the time is over: then what there is.
  std::string read_until(std::string_view mark, double seconds = 20) {
    const double end = base::monotonic_seconds() + seconds;
    for (;;) {
      if (const size_t at = mark.empty() ? std::string::npos : received_.find(mark);
          at != std::string::npos) {
        const std::string text = received_.substr(0, at + mark.size());
        received_.erase(0, at + mark.size());
        return text;
      }
      const double left = end - base::monotonic_seconds();
      pollfd waiting{fd_, POLLIN, 0};
      if (left <= 0 || ::poll(&waiting, 1, static_cast<int>(left * 1000) + 1) <= 0) break;
      char buffer[16384];
      const ssize_t n = ::recv(fd_, buffer, sizeof buffer, 0);
      if (n <= 0) {
        closed_ = true;
        break;
      }
      received_.append(buffer, static_cast<size_t>(n));
    }
    return std::exchange(received_, {});
  }

  std::string read_all(double seconds = 20) { return read_until("", seconds); }

  // One response with a Content-Length.
  std::string read_response() {
    std::string head = read_until("\r\n\r\n");
    const size_t at = head.find("Content-Length: ");
    if (at == std::string::npos) return head;
    const auto length = static_cast<size_t>(std::atoll(head.c_str() + at + 16));
    while (received_.size() < length && !closed_) {
      const std::string had = std::exchange(received_, {});
      const std::string more = read_until("", 0.05);
      received_ = had + more;
    }
    const std::string body = received_.substr(0, length);
    received_.erase(0, length);
    return head + body;
  }

  bool closed_by_server() const { return closed_; }
  void close() {
    if (fd_ >= 0) ::close(fd_);
    fd_ = -1;
  }
  void finish_sending() { ::shutdown(fd_, SHUT_WR); }
  int fd() const { return fd_; }

 private:
  int fd_;
  bool connected_ = false;
  bool closed_ = false;
  std::string received_;
};

inline std::string post(std::string_view path, std::string_view body) {
  return "POST " + std::string(path) +
         " HTTP/1.1\r\nHost: test\r\nContent-Type: application/json\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

inline std::string get(std::string_view path) {
  return "GET " + std::string(path) + " HTTP/1.1\r\nHost: test\r\n\r\n";
}

// Waits for what another thread is to do.
template <typename Condition>
bool eventually(Condition&& condition, double seconds = 20) {
  const double end = base::monotonic_seconds() + seconds;
  while (!condition()) {
    if (base::monotonic_seconds() > end) return false;
    ::usleep(2000);
  }
  return true;
}

}  // namespace hadal::test
