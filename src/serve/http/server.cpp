#include "serve/http/server.h"

#include <spdlog/spdlog.h>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/signal_set.hpp>
#include <condition_variable>
#include <thread>
#include <unordered_map>
#include <vector>

#include "base/error.h"
#include "serve/http/session.h"

namespace hadal::serve::http {

using asio::ip::tcp;

struct Server::Impl {
  explicit Impl(ServerOptions given)
      : options(std::move(given)),
        context{options, nullptr, {}, {}},
        strand(asio::make_strand(io)),
        acceptor(strand),
        drain_timer(strand),
        accept_timer(strand),
        signals(strand) {
    context.on_closed = [this](Session* session) { on_session_closed(session); };
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
      auto session = std::make_shared<Session>(std::move(socket), context);
      size_t open = 0;
      {
        const std::lock_guard lock(mutex);
        sessions.emplace(session.get(), session);
        open = sessions.size();
      }
      if (open > options.max_connections) {
        session->refuse_and_close(503, "the server has as many connections as it takes; try again later");
      } else {
        session->start();
      }
      accept();
    });
  }

  void wait_for_signal() {
    signals.async_wait([this](error_code ec, int signal) {
      if (ec) return;
      if (++signals_seen == 1) {
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

  void begin_stop() {
    if (context.draining.exchange(true)) return;
    error_code ignored;
    acceptor.close(ignored);
    accept_timer.cancel();
    drain_timer.expires_after(std::chrono::duration_cast<std::chrono::steady_clock::duration>(
        std::chrono::duration<double>(options.drain_timeout)));
    drain_timer.async_wait([this](error_code ec) {
      if (!ec) cut_all();
    });
    for (const auto& session : open_sessions()) session->drain();
    const std::lock_guard lock(mutex);
    stopping = true;
    done.notify_all();
  }

  void cut_all() {
    for (const auto& session : open_sessions()) session->cut();
  }

  std::vector<std::shared_ptr<Session>> open_sessions() {
    std::vector<std::shared_ptr<Session>> open;
    const std::lock_guard lock(mutex);
    for (const auto& [key, weak] : sessions) {
      if (auto session = weak.lock()) open.push_back(std::move(session));
    }
    return open;
  }

  void on_session_closed(Session* session) {
    const std::lock_guard lock(mutex);
    sessions.erase(session);
    done.notify_all();
  }

  const ServerOptions options;
  Handler handler;
  uint16_t port = 0;
  bool listening = false;
  int signals_seen = 0;

  std::mutex mutex;  // guards the next four
  std::condition_variable done;
  std::unordered_map<Session*, std::weak_ptr<Session>> sessions;
  bool stopping = false;

  SessionContext context;
  // After what sessions refer to: its queue may hold the last reference to some.
  asio::io_context io;
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
  return host.find(':') == std::string::npos ? fmt::format("http://{}:{}", host, impl_->port)
                                             : fmt::format("http://[{}]:{}", host, impl_->port);
}

void Server::listen() { impl_->listen(); }

void Server::run(Handler handler, bool stop_on_signals) { impl_->run(std::move(handler), stop_on_signals); }

void Server::stop() {
  asio::post(impl_->strand, [impl = impl_.get()] { impl->begin_stop(); });
}

size_t Server::connections() const {
  const std::lock_guard lock(impl_->mutex);
  return impl_->sessions.size();
}

}  // namespace hadal::serve::http
