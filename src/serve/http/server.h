// The HTTP/1.1 transport: accepts, parses, bounds and times everything that a client sends, and carries
// answers back, with TLS or without. It knows nothing of JSON or models. Boost.Asio and Beast stay behind
// this header (docs/adr/0005, docs/adr/0014).
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/exchange.h"
#include "serve/http/message.h"

namespace hadal::serve::http {

// Runs on a handler thread for each complete request. It may take its time (parse, read a database), but
// there are few such threads: it must not wait for what takes as long as an answer. What it throws becomes a
// 500.
using Handler = std::function<void(Request request, std::shared_ptr<Exchange> exchange)>;

// The answer to a request that the transport itself refuses (too large, too slow, not HTTP).
// `path` as in Request; empty where the request did not come so far.
using Refusal = std::function<Response(int status, const std::string& message, std::string_view path)>;

struct ServerOptions {
  std::string host = "127.0.0.1";
  uint16_t port = 0;        // 0: any free port
  int threads = 2;          // transport threads
  int handler_threads = 4;  // besides one for requests with bodies over 64 KB, which come one after another

  // PEM files; both empty: plain HTTP.
  std::string tls_certificate, tls_key;

  size_t max_head_bytes = 32 * 1024;
  size_t max_body_bytes = 8 * 1024 * 1024;
  size_t max_connections = 16384;  // cut to what the process's limit of open files has room for
  // 0: no limit. An IPv6 address counts as its /64. Addresses of `proxies` are not counted: they speak for
  // many.
  size_t max_connections_per_address = 256;
  std::vector<std::string> proxies = {"127.0.0.1", "::1"};
  size_t max_unsent_bytes = 1024 * 1024;  // of one stream; a client further behind is cut off
  size_t send_buffer_bytes = 256 * 1024;  // the kernel's, for each connection
  // Of bodies under way and answers unsent, in all. One address (but no proxy) may have an eighth of it, or
  // one whole body, or one whole answer; the first 64 KB of each connection's body and of its answer come
  // besides, so that who holds the rest does not keep small requests out.
  size_t max_held_bytes = 512 * 1024 * 1024;

  // Seconds.
  double head_timeout = 15;   // from a request's first byte to the end of its headers; a TLS handshake
  double body_timeout = 300;  // from there to the end of the body,
  double body_window = 10;    // of which so much must have come in each such time:
  double min_body_bytes_per_second = 1024;
  double write_timeout = 30;  // while an answer waits, the client's machine takes so much in each such time:
  double min_answer_bytes_per_second = 1024;
  double idle_timeout = 75;  // between requests on one connection
  double stream_idle_seconds = 10;
  double drain_timeout = 30;  // from stop() until unfinished answers are cut

  Refusal refusal;  // default: plain text
};

// Totals are since the server was made.
struct ServerCounters {
  uint64_t connections = 0;  // open now
  uint64_t accepted_total = 0;
  uint64_t refused_connections_total = 0;  // too many, in all or from one address
  uint64_t requests_total = 0;             // complete, and given to the handler
  uint64_t refused_requests_total = 0;     // by the transport itself, refused connections included
  uint64_t slow_readers_total = 0;         // answers cut because they were not taken
  bool draining = false;                   // stop() was called
};

class Server {
 public:
  // Takes the port and reads the certificate. Throws Error{kIo} naming host, port and the reason, or
  // Error{kBadInput} naming the file or option.
  explicit Server(ServerOptions options);
  ~Server();
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  uint16_t port() const;
  std::string url() const;  // "http://127.0.0.1:8080"

  // From here clients can connect; they are answered once run() is called. Throws Error{kIo}.
  void listen();

  // `what` names it in the log. Called by reload(), on a handler thread, in the order of these calls, after
  // the certificate has been read again; what a hook throws is logged, and the next ones are called. Before
  // run().
  void on_reload(std::string what, std::function<void()> hook);

  // Serves until stop(): requests under way are answered (for at most drain_timeout), new ones get 503 with
  // Retry-After meanwhile; then it closes every connection and returns. With `stop_on_signals`, SIGINT and
  // SIGTERM call stop(), a second one cuts at once, and SIGHUP calls reload(). Calls listen() if nobody did.
  // Every Exchange must be gone before the Server is.
  void run(Handler handler, bool stop_on_signals = false);

  // Any thread, any number of times.
  void stop();
  void reload();

  ServerCounters counters() const;
  size_t connections() const { return counters().connections; }

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace hadal::serve::http
