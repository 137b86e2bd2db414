#include "serve/http/server.h"

#include <spdlog/spdlog.h>
#include <sys/resource.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <condition_variable>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "serve/http/address_limit.h"
#include "serve/http/session.h"
#include "serve/http/tls.h"

namespace hadal::serve::http {

using asio::ip::tcp;

namespace {

// Descriptors for everything that is no connection: the model, pages, logs, the database.
constexpr size_t kOtherFiles = 256;
// Connections beyond the limit that are told why they are refused; past these they are dropped without a
// word.
constexpr size_t kMostRefusals = 64;

// As many open files as the system lets this process have; what that is.
size_t raise_file_limit() {
  rlimit limit{};
  if (::getrlimit(RLIMIT_NOFILE, &limit) != 0) return kOtherFiles * 2;
  if (limit.rlim_cur < limit.rlim_max) {
    limit.rlim_cur = limit.rlim_max;
    ::setrlimit(RLIMIT_NOFILE, &limit);
    ::getrlimit(RLIMIT_NOFILE, &limit);
  }
  return static_cast<size_t>(limit.rlim_cur);
}

ServerOptions fit_to_system(ServerOptions options) {
  const size_t files = raise_file_limit();
  const size_t room = files > 2 * kOtherFiles ? files - kOtherFiles : files / 2;
  if (options.max_connections > room) {
    spdlog::warn("http: the limit of {} open files has room for {} connections, not {}; raise it (ulimit -n)",
                 files, room, options.max_connections);
    options.max_connections = room;
  }
  return options;
}

std::unique_ptr<TlsCertificate> load_certificate(const ServerOptions& options) {
  if (options.tls_certificate.empty() && options.tls_key.empty()) return nullptr;
  if (options.tls_certificate.empty() || options.tls_key.empty()) {
    throw_error(ErrorCode::kBadInput, "[tls] a certificate and its key are needed, both");
  }
  return std::make_unique<TlsCertificate>(options.tls_certificate, options.tls_key);
}

}  // namespace

struct Server::Impl {
  explicit Impl(ServerOptions given)
      : options(fit_to_system(std::move(given))),
        certificate(load_certificate(options)),
        addresses(options.max_connections_per_address, options.proxies),
        context{.options = options},
        handlers(static_cast<size_t>(options.handler_threads)),
        large_handlers(1),
        strand(asio::make_strand(io)),
        acceptor(strand),
        drain_timer(strand),
        accept_timer(strand),
        signals(strand) {
    context.handlers = &handlers;
    context.large_handlers = &large_handlers;
    context.on_closed = [this](Session* session) { on_session_closed(session); };
    context.on_answered = [this] {
      if (context.draining) asio::post(strand, [this] { finish_stop_when_answered(); });
    };
    bind();
  }

  // ---- Starting ----

  void bind() {
    error_code ec;
    asio::ip::address address = asio::ip::make_address(options.host, ec);
    if (ec) {
      tcp::resolver resolver(io);
      const auto found = resolver.resolve(options.host, "", tcp::resolver::passive, ec);
      if (ec || found.empty()) {
        throw_error(ErrorCode::kIo, "[serve] host {}: {}", options.host,
                    ec ? ec.message() : "no such address");
      }
      address = found.begin()->endpoint().address();
    }
    const tcp::endpoint endpoint(address, options.port);
    acceptor.open(endpoint.protocol(), ec);
    if (!ec) acceptor.set_option(asio::socket_base::reuse_address(true), ec);
    if (!ec) acceptor.bind(endpoint, ec);
    if (ec) refuse_port(ec);
    port = acceptor.local_endpoint().port();
  }

  [[noreturn]] void refuse_port(const error_code& ec) const {
    if (ec == asio::error::address_in_use) {
      throw_error(ErrorCode::kIo,
                  "[serve] {}:{}: the port is in use; stop the other program or choose another --port",
                  options.host, options.port);
    }
    throw_error(ErrorCode::kIo, "[serve] {}:{}: {}", options.host, options.port, ec.message());
  }

  void listen() {
    if (listening) return;
    error_code ec;
    acceptor.listen(asio::socket_base::max_listen_connections, ec);
    if (ec) refuse_port(ec);
    listening = true;
  }

  void run(Handler given, bool stop_on_signals) {
    handler = std::move(given);
    context.handler = &handler;
    listen();
    const auto guard = asio::make_work_guard(io);
    if (stop_on_signals) {
      signals.add(SIGINT);
      signals.add(SIGTERM);
      signals.add(SIGHUP);
      wait_for_signal();
    }
    asio::post(strand, [this] { accept(); });
    std::vector<std::thread> threads;
    for (int i = 0; i < options.threads; ++i) threads.emplace_back([this] { work(); });
    {
      std::unique_lock lock(mutex);
      done.wait(lock, [this] { return stopping && sessions.empty(); });
    }
    // Every session is closed, so nothing that is still queued matters. Waiting for the queue to run dry
    // instead was seen to hang once, with no socket and no timer left.
    handlers.stop();
    large_handlers.stop();
    handlers.join();
    large_handlers.join();
    io.stop();
    for (std::thread& thread : threads) thread.join();
  }

  // What a callback throws (memory, in practice) costs that connection, not the server.
  void work() {
    for (;;) {
      try {
        io.run();
        return;
      } catch (const std::exception& e) {
        spdlog::error("http: {}", e.what());
      }
    }
  }

  // ---- Accepting; on `strand` ----

  void accept() {
    if (!acceptor.is_open()) return;
    acceptor.async_accept(asio::make_strand(io), [this](error_code ec, Socket socket) {
      if (ec == asio::error::operation_aborted || !acceptor.is_open()) return;
      if (ec) {
        // Out of file descriptors, most likely: wait until some connection has closed.
        spdlog::warn("http: accept: {}", ec.message());
        accept_timer.expires_after(std::chrono::milliseconds(200));
        accept_timer.async_wait([this](error_code) { accept(); });
        return;
      }
      take(std::move(socket));
      accept();
    });
  }

  void take(Socket socket) {
    error_code ec;
    const auto peer = socket.remote_endpoint(ec);
    if (ec) return;  // gone already
    ++accepted_total;
    const auto key = AddressLimit::key_of(peer.address());
    std::shared_ptr<Session> session;
    bool many = false, many_of_one = false;
    {
      const std::lock_guard lock(mutex);
      const size_t of_one = addresses.add(key);
      many = sessions.size() >= options.max_connections;
      many_of_one = addresses.is_over(of_one);
      const bool refused = many || many_of_one;
      // One that is refused takes seconds to close, and a TLS one much work to tell.
      if (refused && (refusals >= kMostRefusals || certificate)) {
        addresses.remove(key);
        ++refused_connections_total;
        socket.set_option(asio::socket_base::linger(true, 0), ec);
        return;
      }
      session = std::make_shared<Session>(std::move(socket), certificate ? certificate->current() : nullptr,
                                          context, addresses.held_bytes(key));
      sessions.emplace(session.get(), Open{session, key, refused});
      refusals += refused ? 1 : 0;
    }
    if (!many && !many_of_one) return session->start();
    ++refused_connections_total;
    if (many) {
      session->refuse_and_close(503, "the server has as many connections as it takes; try again later");
    } else {
      session->refuse_and_close(429, "too many connections from this address; use fewer, or wait");
    }
  }

  void wait_for_signal() {
    signals.async_wait([this](error_code ec, int signal) {
      if (ec) return;
      if (signal == SIGHUP) {
        start_reload();
      } else if (++signals_seen == 1) {
        spdlog::info("signal {}: finishing running answers (at most {} s); again to stop at once", signal,
                     options.drain_timeout);
        begin_stop();
      } else {
        cut_all();
      }
      wait_for_signal();
    });
  }

  // ---- Stopping; on `strand` ----

  // Who connects meanwhile, or sends a request, is told to come back later.
  void begin_stop() {
    if (context.draining.exchange(true)) return;
    drain_timer.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(options.drain_timeout)));
    drain_timer.async_wait([this](error_code ec) {
      if (!ec) cut_all();
    });
    finish_stop_when_answered();
  }

  void finish_stop_when_answered() {
    if (context.answering == 0) finish_stop();
  }

  void finish_stop() {
    if (!acceptor.is_open()) return;
    error_code ignored;
    acceptor.close(ignored);
    accept_timer.cancel();
    for (const auto& session : open_sessions()) session->drain();
    const std::lock_guard lock(mutex);
    stopping = true;
    done.notify_all();
  }

  void cut_all() {
    for (const auto& session : open_sessions()) session->cut();
    finish_stop();
  }

  std::vector<std::shared_ptr<Session>> open_sessions() {
    std::vector<std::shared_ptr<Session>> open;
    const std::lock_guard lock(mutex);
    for (const auto& [key, entry] : sessions) {
      if (auto session = entry.session.lock()) open.push_back(std::move(session));
    }
    return open;
  }

  void on_session_closed(Session* session) {
    const std::lock_guard lock(mutex);
    const auto found = sessions.find(session);
    if (found == sessions.end()) return;
    addresses.remove(found->second.address);
    refusals -= found->second.refused ? 1 : 0;
    sessions.erase(found);
    if (stopping) done.notify_all();
  }

  // ---- Reloading ----

  // Not on a transport thread: files and databases may be slow.
  void start_reload() {
    asio::post(large_handlers, [this] {
      if (certificate) run_hook("TLS certificate", [this] { certificate->reload(); });
      for (const auto& [what, hook] : reload_hooks) run_hook(what, hook);
    });
  }

  static void run_hook(const std::string& what, const std::function<void()>& hook) {
    try {
      hook();
      spdlog::info("reloaded: {}", what);
    } catch (const std::exception& e) {
      spdlog::error("not reloaded, the old one stays: {}: {}", what, e.what());
    }
  }

  // A connection, and what it counts as.
  struct Open {
    std::weak_ptr<Session> session;
    AddressLimit::Key address;
    bool refused = false;
  };

  const ServerOptions options;
  const std::unique_ptr<TlsCertificate> certificate;  // null: plain HTTP
  std::vector<std::pair<std::string, std::function<void()>>> reload_hooks;
  Handler handler;
  uint16_t port = 0;
  bool listening = false;
  int signals_seen = 0;

  std::atomic<uint64_t> accepted_total{0}, refused_connections_total{0};
  mutable std::mutex mutex;  // guards the next five
  std::condition_variable done;
  std::unordered_map<Session*, Open> sessions;
  AddressLimit addresses;
  size_t refusals = 0;  // of `sessions`
  bool stopping = false;

  SessionContext context;
  // After what sessions refer to: its queue may hold the last reference to some.
  asio::io_context io;
  asio::thread_pool handlers, large_handlers;
  Strand strand;
  asio::basic_socket_acceptor<tcp, Strand> acceptor;
  asio::steady_timer drain_timer;
  asio::steady_timer accept_timer;
  asio::basic_signal_set<Strand> signals;
};

Server::Server(ServerOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Server::~Server() = default;

uint16_t Server::port() const { return impl_->port; }

std::string Server::url() const {
  const std::string& host = impl_->options.host;
  const char* scheme = impl_->certificate ? "https" : "http";
  return host.find(':') == std::string::npos ? fmt::format("{}://{}:{}", scheme, host, impl_->port)
                                             : fmt::format("{}://[{}]:{}", scheme, host, impl_->port);
}

void Server::listen() { impl_->listen(); }

void Server::run(Handler handler, bool stop_on_signals) { impl_->run(std::move(handler), stop_on_signals); }

void Server::stop() {
  asio::post(impl_->strand, [impl = impl_.get()] { impl->begin_stop(); });
}

void Server::reload() { impl_->start_reload(); }

void Server::on_reload(std::string what, std::function<void()> hook) {
  impl_->reload_hooks.emplace_back(std::move(what), std::move(hook));
}

ServerCounters Server::counters() const {
  ServerCounters counters;
  {
    const std::lock_guard lock(impl_->mutex);
    counters.connections = impl_->sessions.size();
  }
  const SessionContext& context = impl_->context;
  counters.accepted_total = impl_->accepted_total;
  counters.refused_connections_total = impl_->refused_connections_total;
  counters.requests_total = context.requests_total;
  counters.refused_requests_total = context.refused_requests_total;
  counters.slow_readers_total = context.slow_readers_total;
  counters.draining = context.draining;
  return counters;
}

}  // namespace hadal::serve::http
