#include "bare_server.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <string_view>

#include "base/error.h"
#include "engine/engine.h"

namespace hadal::bench {

namespace {

// Of the size that a chunk of POST /chat/completions has, with its frame; the token's text stands between.
constexpr std::string_view kBefore = "112\r\ndata: {\"choices\":[{\"delta\":{\"content\":\"";
constexpr std::string_view kBehind =
    "\"},\"finish_reason\":null,\"index\":0,\"logprobs\":null}],\"created\":1795353600,\"id\":"
    "\"7d5f6a31-9b0c-4f0e-8a51-1c2d3e4f5a6b\",\"model\":\"stub\",\"object\":\"chat.completion.chunk\","
    "\"system_fingerprint\":\"fp_hadal_0_1\"}\n\n\r\n";
constexpr std::string_view kHead = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";

int listen_on_loopback(uint16_t& port) {
  const int fd = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (fd < 0 || ::bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0 ||
      ::listen(fd, SOMAXCONN) != 0 || ::getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw_error(ErrorCode::kIo, "[bare] cannot listen on the loopback network");
  }
  port = ntohs(address.sin_port);
  return fd;
}

void say(int fd, std::string_view bytes) {
  // What does not fit the kernel's buffer is lost: the streams are short, and read.
  [[maybe_unused]] const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
}

void begin_stream(engine::Engine& engine, int fd, int tokens) {
  say(fd, kHead);
  engine::Request request;
  request.prompt = {0};
  request.sampling.max_tokens = tokens;
  engine.submit(std::move(request), [fd](const engine::Event& event) {
    std::string bytes;
    bytes.reserve(kBefore.size() + event.text.size() + kBehind.size());
    bytes.append(kBefore).append(event.text).append(kBehind);
    say(fd, bytes);
    if (event.finish) say(fd, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
  });
}

}  // namespace

void run_bare_server(const std::string& tokenizer, int tokens,
                     const std::function<void(uint16_t)>& listening) {
  sigset_t signals;
  sigemptyset(&signals);
  sigaddset(&signals, SIGTERM);
  sigaddset(&signals, SIGINT);
  ::pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  const int stop = ::signalfd(-1, &signals, SFD_CLOEXEC);
  uint16_t port = 0;
  const int acceptor = listen_on_loopback(port);
  const int epoll = ::epoll_create1(EPOLL_CLOEXEC);
  const auto watch = [epoll](int fd) {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = fd;
    ::epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event);
  };
  watch(stop);
  watch(acceptor);
  listening(port);
  const auto engine = engine::Engine::open(tokenizer, {});
  for (;;) {
    epoll_event event{};
    if (::epoll_wait(epoll, &event, 1, -1) < 1) continue;
    const int fd = event.data.fd;
    if (fd == stop) break;
    if (fd == acceptor) {
      const int client = ::accept4(acceptor, nullptr, nullptr, SOCK_CLOEXEC);
      if (client < 0) continue;
      const int yes = 1;
      ::setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      watch(client);
      continue;
    }
    char request[4096];
    if (::recv(fd, request, sizeof request, MSG_DONTWAIT) > 0) begin_stream(*engine, fd, tokens);
    // Not closed: the engine's thread may still write to it, and the process is a short one.
    ::epoll_ctl(epoll, EPOLL_CTL_DEL, fd, nullptr);
  }
}

}  // namespace hadal::bench
