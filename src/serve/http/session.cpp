#include "serve/http/session.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/err.h>
#include <openssl/sslerr.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl/error.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/string.hpp>
#include <boost/beast/http/error.hpp>
#include <utility>

namespace hadal::serve::http {

namespace beast = boost::beast;

namespace {

// Read at a time: little where nothing or a small request is expected, for there are many such connections.
constexpr size_t kSmallReadBytes = 1024;
constexpr size_t kReadBytes = 16 * 1024;
// Bytes of following requests that are kept while an answer is under way; past that the client waits.
constexpr size_t kMaxPipelinedBytes = 16 * 1024;
// Of what was received and cannot be parsed yet, besides the headers: a chunk's first line.
constexpr size_t kMaxUnparsedBytes = 16 * 1024;
// A body in chunks may take so many times its limit on the wire: a chunk of one byte has six bytes.
constexpr size_t kMaxChunkOverhead = 8;
// Parsing a body of more takes long enough for others to notice.
constexpr size_t kLargeBodyBytes = 64 * 1024;
// Of each connection's body; for these there is always room.
constexpr size_t kFreeBodyBytes = 64 * 1024;

constexpr const char* kShuttingDown = "the server is shutting down; try again later";

Response plain_refusal(int status, const std::string& message) {
  return {status, "text/plain; charset=utf-8", {}, message + "\n"};
}

}  // namespace

Session::Session(Socket socket, const std::shared_ptr<asio::ssl::context>& tls, SessionContext& context,
                 AddressLimit::HeldBytes address_held)
    : stream_(std::move(socket), tls),
      timer_(stream_.get_executor()),
      context_(context),
      address_held_(std::move(address_held)) {}

Session::~Session() {
  if (exchange_) exchange_->finish();
  if (phase_ != Phase::kClosed) context_.on_closed(this);
}

void Session::start() {
  asio::post(executor(), [self = shared_from_this()] {
    self->tune_socket();
    self->stream_.is_tls() ? self->handshake() : self->wait_for_request();
  });
}

void Session::refuse_and_close(int status, std::string message) {
  asio::post(executor(), [self = shared_from_this(), status, message = std::move(message)] {
    self->tune_socket();
    self->refuse(status, message);
  });
}

void Session::drain() {
  asio::post(executor(), [self = shared_from_this()] {
    self->keep_alive_ = false;
    if (self->phase_ < Phase::kHandling) self->close();
  });
}

void Session::cut() {
  asio::post(executor(), [self = shared_from_this()] { self->close(); });
}

// A peer that has vanished without a word is noticed: while it owes us acknowledgements after write_timeout,
// else by the kernel's probes, within two minutes.
void Session::tune_socket() {
  Socket& socket = stream_.socket();
  error_code ignored;
  socket.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket.set_option(asio::socket_base::keep_alive(true), ignored);
  const auto set = [&](int option, int value) {
    ::setsockopt(socket.native_handle(), IPPROTO_TCP, option, &value, sizeof value);
  };
  set(TCP_KEEPIDLE, 60);
  set(TCP_KEEPINTVL, 15);
  set(TCP_KEEPCNT, 4);
  set(TCP_USER_TIMEOUT, static_cast<int>(context_.options.write_timeout * 1000));
  // What the kernel keeps for a reader that stalls; by itself it would grow to megabytes each.
  socket.set_option(asio::socket_base::send_buffer_size(static_cast<int>(context_.options.send_buffer_bytes)),
                    ignored);
}

// ---- TLS ----

void Session::handshake() {
  phase_ = Phase::kHandshake;
  set_deadline(context_.options.head_timeout);
  stream_.async_handshake([self = shared_from_this()](error_code ec) { self->on_handshake(ec); });
}

void Session::on_handshake(error_code ec) {
  if (phase_ == Phase::kClosed) return;
  if (!ec) return wait_for_request();
  spdlog::debug("http: TLS handshake: {}", ec.message());
  ++context_.refused_requests_total;
  const bool plain_http = ec.category() == asio::error::get_ssl_category() &&
                          ERR_GET_REASON(static_cast<unsigned long>(ec.value())) == SSL_R_HTTP_REQUEST;
  if (!plain_http) return close();
  const Response hint = plain_refusal(400, "this port speaks HTTPS: use https://");
  in_flight_ =
      encode_head(400, hint.content_type, {}, fmt::format("Content-Length: {}", hint.body.size()), false) +
      hint.body;
  asio::async_write(stream_.socket(), asio::buffer(in_flight_),
                    [self = shared_from_this()](error_code, size_t) { self->close(); });
}

// ---- Reading ----

void Session::wait_for_request() {
  phase_ = Phase::kIdle;
  release_memory(received_);
  set_deadline(context_.options.idle_timeout);
  read_more();
}

// One read is always pending, but while enough of the next request is here. Its end is how a client that
// leaves is noticed.
void Session::read_more() {
  if (reading_) return;
  const size_t bytes = phase_ == Phase::kIdle || phase_ == Phase::kHandling ? kSmallReadBytes : kReadBytes;
  if (incoming_.size() != bytes) incoming_ = std::vector<char>(bytes);
  reading_ = true;
  stream_.async_read_some(asio::buffer(incoming_),
                          [self = shared_from_this()](error_code ec, size_t n) { self->on_bytes(ec, n); });
}

void Session::on_bytes(error_code ec, size_t n) {
  reading_ = false;
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kLinger) return on_discarded(!ec, n);
  received_.append(incoming_.data(), n);
  if (phase_ == Phase::kHandling) {
    if (ec) return hang_up();
    if (received_.size() < kMaxPipelinedBytes) read_more();
    return;
  }
  if (phase_ == Phase::kIdle) {
    if (n > 0) return begin_request();
    return close();
  }
  if (phase_ == Phase::kBody && n > 0 && !take_body_bytes(n)) return;
  if (n > 0) return parse();
  on_end_of_input(ec);
}

void Session::on_end_of_input(error_code ec) {
  if (ec == asio::error::connection_reset) return close();
  refuse(400, phase_ == Phase::kBody ? "the request's body is not complete"
                                     : "the request ended before its headers did");
}

void Session::begin_request() {
  phase_ = Phase::kHead;
  parser_.emplace(context_.options.max_head_bytes, context_.options.max_body_bytes);
  body_wire_bytes_ = window_bytes_ = 0;
  set_deadline(context_.options.head_timeout);
  parse();
}

// As far as the bytes go that are here.
void Session::parse() {
  std::string_view left = received_;
  const auto keep = [&] { received_.erase(0, received_.size() - left.size()); };
  while (!parser_->is_done()) {
    error_code ec;
    const size_t used = left.empty() ? 0 : parser_->feed(left, ec);
    left.remove_prefix(used);
    if (ec && ec != beast::http::error::need_more) return refuse_malformed(ec);
    if (phase_ == Phase::kHead && parser_->is_header_done()) {
      keep();
      left = received_;
      if (!begin_body()) return;
    } else if (used == 0) {
      keep();
      if (received_.size() > context_.options.max_head_bytes + kMaxUnparsedBytes) {
        return refuse(413, "the request has a line that is too long");
      }
      return read_more();
    }
  }
  keep();
  dispatch();
}

// Behind the headers. What follows them is here in part already.
bool Session::begin_body() {
  phase_ = Phase::kBody;
  const ServerOptions& options = context_.options;
  http_1_1_ = parser_->get().version() >= 11;
  body_end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                 std::chrono::duration<double>(options.body_timeout));
  set_deadline(std::min(options.body_timeout, options.body_window));
  if (http_1_1_ && !parser_->has_host()) {
    refuse(400, "the request has no Host header, which HTTP/1.1 wants");
    return false;
  }
  if (parser_->is_done()) return true;
  if (!take_body_bytes(received_.size())) return false;
  const auto expect = parser_->get()[beast::http::field::expect];
  if (http_1_1_ && received_.empty() && beast::iequals(expect, "100-continue")) say_continue();
  return true;
}

// False when that is more than the server has room for.
bool Session::take_body_bytes(size_t n) {
  body_wire_bytes_ += n;
  window_bytes_ += n;
  held_body_bytes_ += n;
  const ServerOptions& options = context_.options;
  const size_t of_all = context_.held_bytes.fetch_add(n) + n;
  const size_t of_address = address_held_ ? address_held_->fetch_add(n) + n : 0;
  const bool free = held_body_bytes_ <= kFreeBodyBytes;
  // A body of the largest size fits, with what was read behind it.
  const size_t share = std::max(address_share(), options.max_body_bytes + kReadBytes);
  if (!free && of_address > share) {
    refuse(429, "this address sends more at a time than the server has room for; send less, or wait");
    return false;
  }
  if (!free && of_all > options.max_held_bytes) {
    refuse(503, "the server has no room for this request's body now; try again later");
    return false;
  }
  if (body_wire_bytes_ / kMaxChunkOverhead > options.max_body_bytes) {
    refuse(413, fmt::format("the request's body is over {} bytes", options.max_body_bytes));
    return false;
  }
  return true;
}

void Session::release_body() {
  const size_t n = std::exchange(held_body_bytes_, 0);
  context_.held_bytes -= n;
  if (address_held_) *address_held_ -= n;
}

void Session::say_continue() {
  if (writing_) return;
  in_flight_ = "HTTP/1.1 100 Continue\r\n\r\n";
  writing_ = true;
  asio::async_write(stream_, asio::buffer(in_flight_), [self = shared_from_this()](error_code ec, size_t) {
    self->writing_ = false;
    if (self->phase_ == Phase::kClosed) return;
    if (ec) return self->close();
    if (self->phase_ == Phase::kHandling) self->flush();  // an answer may wait already
  });
}

void Session::refuse_malformed(error_code ec) {
  namespace e = beast::http;
  const ServerOptions& options = context_.options;
  if (ec == e::error::header_limit) {
    return refuse(431, fmt::format("the request's headers are over {} bytes", options.max_head_bytes));
  }
  if (ec == e::error::body_limit || ec == e::error::buffer_overflow) {
    return refuse(413, fmt::format("the request's body is over {} bytes", options.max_body_bytes));
  }
  refuse(400, fmt::format("not a valid HTTP/1.1 request{}: {}", phase_ == Phase::kBody ? " body" : "",
                          ec.message()));
}

// Answers what cannot be handled, and ends the connection: where the next request starts is not known.
void Session::refuse(int status, const std::string& message) {
  spdlog::debug("http: refused with {}: {}", status, message);
  ++context_.refused_requests_total;
  phase_ = Phase::kHandling;
  clear_deadline();
  release_memory(received_);
  release_body();
  ++serial_;
  exchange_ = std::make_shared<ExchangeState>();
  keep_alive_ = false;
  head_only_ = false;
  http_1_1_ = true;
  const std::string path = parser_ ? std::string(path_of(parser_->get().target())) : std::string();
  respond(serial_, context_.options.refusal ? context_.options.refusal(status, message, path)
                                            : plain_refusal(status, message));
}

void Session::dispatch() {
  clear_deadline();
  if (context_.draining) return refuse(503, kShuttingDown);
  phase_ = Phase::kHandling;
  auto message = parser_->release();
  parser_.reset();
  keep_alive_ = message.keep_alive();
  Request request = to_request(std::move(message));
  head_only_ = request.method == "HEAD";
  ++context_.requests_total;
  ++context_.answering;
  counted_ = true;
  exchange_ = std::make_shared<ExchangeState>();
  auto exchange = std::make_shared<HttpExchange>(shared_from_this(), exchange_, ++serial_);
  if (received_.size() < kMaxPipelinedBytes) read_more();
  const bool large = request.body.size() > kLargeBodyBytes;
  const size_t held = std::exchange(held_body_bytes_, 0);
  asio::post(*(large ? context_.large_handlers : context_.handlers),
             [&context = context_, held, of_address = address_held_, state = exchange_,
              request = std::move(request), exchange = std::move(exchange)]() mutable {
               try {
                 if (state->open) (*context.handler)(std::move(request), std::move(exchange));
               } catch (const std::exception& e) {
                 // The handler's reference is gone by now: abandon() answers 500.
                 spdlog::error("http: a handler failed: {}", e.what());
               }
               context.held_bytes -= held;
               if (of_address) *of_address -= held;
             });
}

// ---- Deadlines ----

void Session::set_deadline(double seconds) {
  deadline_ =
      Clock::now() + std::chrono::duration_cast<Clock::duration>(std::chrono::duration<double>(seconds));
  if (deadline_ < armed_at_) arm_timer(deadline_);
}

void Session::arm_timer(Clock::time_point at) {
  armed_at_ = at;
  timer_.expires_at(at);
  timer_.async_wait([self = shared_from_this(), at](error_code ec) {
    if (ec || at != self->armed_at_) return;  // another has taken its place
    self->armed_at_ = Clock::time_point::max();
    if (self->phase_ == Phase::kClosed || self->deadline_ == Clock::time_point::max()) return;
    if (Clock::now() < self->deadline_) return self->arm_timer(self->deadline_);
    self->clear_deadline();
    self->on_deadline();
  });
}

void Session::on_deadline() {
  const ServerOptions& options = context_.options;
  switch (phase_) {
    case Phase::kHead:
      return refuse(408, fmt::format("the request's headers took over {} s", options.head_timeout));
    case Phase::kBody:
      return on_body_deadline();
    case Phase::kHandling:
      if (writing_) {
        if (is_taking()) return set_deadline(options.write_timeout);
        ++context_.slow_readers_total;  // the client does not take its answer
        return hang_up();
      }
      if (streaming_) return on_stream_idle();
      if (held_ && !ending_) {
        add_idle_bytes(held_->idle_bytes);  // leaves with the head
        return begin_stream(serial_, *held_);
      }
      return;
    default:
      return close();
  }
}

// Nothing came for a while: show the client and what stands between that we are here.
void Session::on_stream_idle() {
  const double idle = std::chrono::duration<double>(Clock::now() - lane_.last_write()).count();
  if (idle < context_.options.stream_idle_seconds) {
    return set_deadline(context_.options.stream_idle_seconds - idle);
  }
  add_idle_bytes(idle_bytes_);
  flush();
}

// A body may take long as long as it comes.
void Session::on_body_deadline() {
  const ServerOptions& options = context_.options;
  const auto now = Clock::now();
  if (now >= body_end_) {
    return refuse(408, fmt::format("the request's body took over {} s", options.body_timeout));
  }
  if (static_cast<double>(window_bytes_) < options.min_body_bytes_per_second * options.body_window) {
    return refuse(408, fmt::format("the request's body came at less than {} bytes per second",
                                   options.min_body_bytes_per_second));
  }
  window_bytes_ = 0;
  set_deadline(std::min(options.body_window, std::chrono::duration<double>(body_end_ - now).count()));
}

}  // namespace hadal::serve::http
