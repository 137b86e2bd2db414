// The HTTP/1.1 transport: accepts, parses, bounds and times everything that a client sends, and carries
// answers back. It knows nothing of JSON or models. Boost.Asio and Beast stay behind this header
// (docs/adr/0005).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "serve/http/exchange.h"
#include "serve/http/message.h"

namespace hadal::serve::http {

// Runs on a transport thread for each complete request: it must not wait. What it throws becomes a 500.
using Handler = std::function<void(Request request, std::shared_ptr<Exchange> exchange)>;

// The answer to a request that the transport itself refuses (too large, too slow, not HTTP).
using Refusal = std::function<Response(int status, const std::string& message)>;

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;  // 0: any free port
  int threads = 2;    // transport threads

  size_t max_head_bytes = 32 * 1024;
  size_t max_body_bytes = 8 * 1024 * 1024;
  size_t max_connections = 512;
  size_t max_unsent_bytes = 1024 * 1024;  // of one stream; a client further behind is cut off

  // Seconds.
  double head_timeout = 15;   // from a request's first byte to the end of its headers
  double body_timeout = 60;   // from there to the end of the body
  double write_timeout = 30;  // for each write to be taken by the client's machine
  double idle_timeout = 75;   // between requests on one connection
  double stream_idle_seconds = 10;
  double drain_timeout = 30;  // from stop() until unfinished answers are cut

  Refusal refusal;  // default: plain text
};

class Server {
 public:
  // Takes the port. Throws Error{kIo} naming host, port and the reason.
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8080"

  // From here clients can connect; they are answered once run() is called. Throws Error{kIo}.
  void listen();

  // Serves until stop(), then lets running answers finish (at most drain_timeout) and returns. With
  // `stop_on_signals`, SIGINT and SIGTERM call stop(), a second one cuts at once. Calls listen() if nobody
  // did. Every Exchange must be gone before the Server is.
  void run(Handler handler, bool stop_on_signals = false);

  // Any thread, any number of times.
  void stop();

  size_t connections() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::serve::http
