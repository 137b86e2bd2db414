// The half of a Session that writes: answers, whole and in pieces, and the connection's end.
#include <fmt/format.h>
#include <linux/sockios.h>
#include <spdlog/spdlog.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/post.hpp>
#include <cerrno>
#include <utility>

#include "serve/http/session.h"

namespace hadal::serve::http {

namespace {

constexpr double kLingerSeconds = 2;  // in which something must come,
constexpr double kMostLingerSeconds = 10;
constexpr size_t kLingerBytes = 32 * 1024 * 1024;
constexpr size_t kDiscardBytes = 64 * 1024;  // at a time
// So that the bytes of a body that was refused cost no processor that others wait for.
constexpr size_t kDiscardBytesPerSecond = 4 * 1024 * 1024;
constexpr size_t kWriteBytes = 64 * 1024;  // at a time
// Of each whole answer; for these there is always room.
constexpr size_t kFreeAnswerBytes = 64 * 1024;

// What the kernel has of it and the client's machine has not acknowledged.
int64_t unacknowledged_bytes(int socket) {
  int bytes = 0;
  return ::ioctl(socket, SIOCOUTQ, &bytes) == 0 ? bytes : 0;
}

}  // namespace

void Session::respond(uint64_t serial, Response response) {
  if (!answers(serial)) return;
  if (streaming_ && !held_) return;
  if (!take_answer_bytes(response.body.size())) {
    spdlog::warn("http: no room for an answer of {} bytes: clients do not take theirs", response.body.size());
    release_answer_bytes();
    if (const auto receipt = std::exchange(response.receipt, nullptr)) receipt->refused();
    if (streaming_) return hang_up();
    const std::string message = "the server has no room for this answer now; try again later";
    response = context_.options.refusal ? context_.options.refusal(503, message, {})
                                        : Response{503, "text/plain; charset=utf-8", {}, message + "\n"};
  }
  whole_receipt_ = std::move(response.receipt);
  ending_ = true;
  if (streaming_) {
    if (!response.body.empty() && !head_only_)
      outbox_ += chunked_ ? encode_chunk(response.body) : response.body;
    return flush();
  }
  keep_alive_ = keep_alive_ && !context_.draining;
  outbox_ = encode_head(response.status, response.content_type, response.headers,
                        response.status == 204 || response.status == 304
                            ? std::string()
                            : fmt::format("Content-Length: {}", response.body.size()),
                        keep_alive_);
  if (!head_only_) outbox_ += response.body;
  flush();
}

// Of a whole answer, until it has left. False when that is more than there is room for.
bool Session::take_answer_bytes(size_t n) {
  held_answer_bytes_ += n;
  const size_t of_all = context_.held_bytes.fetch_add(n) + n;
  const size_t of_address = address_held_ ? address_held_->fetch_add(n) + n : 0;
  if (n <= kFreeAnswerBytes) return true;
  return of_all <= context_.options.max_held_bytes && of_address <= std::max(address_share(), n);
}

void Session::release_answer_bytes() {
  const size_t n = std::exchange(held_answer_bytes_, 0);
  context_.held_bytes -= n;
  if (address_held_) *address_held_ -= n;
}

void Session::hold(uint64_t serial, StreamHead head) {
  if (!answers(serial) || streaming_) return;
  held_ = std::move(head);
  set_deadline(context_.options.stream_idle_seconds);
}

void Session::begin_stream(uint64_t serial, StreamHead head) {
  if (!answers(serial) || streaming_) return;
  streaming_ = true;
  chunked_ = http_1_1_;
  keep_alive_ = keep_alive_ && chunked_ && !context_.draining;
  idle_bytes_ = std::move(head.idle_bytes);
  head.headers.push_back({"Cache-Control", "no-cache"});
  outbox_ = encode_head(200, head.content_type, head.headers, chunked_ ? "Transfer-Encoding: chunked" : "",
                        keep_alive_);
  flush();
}

void Session::write(uint64_t serial, std::string bytes, std::shared_ptr<Receipt> receipt) {
  if (!answers(serial) || !streaming_) {
    context_.held_bytes -= bytes.size();
    return;
  }
  pieces_ += bytes;
  if (receipt) receipts_.emplace_back(pieces_.size(), std::move(receipt));
  flush();
}

bool Session::write_now(uint64_t serial, ExchangeState& state, std::string_view bytes,
                        std::shared_ptr<Receipt>& receipt) {
  using Result = DirectLane::Result;
  if (bytes.empty()) return false;
  const Result result = lane_.write(serial, bytes, receipt);
  if (result == Result::kRefused) return false;
  if (result == Result::kSent) {
    context_.held_bytes -= bytes.size();
    state.unsent_bytes -= bytes.size();
    return true;
  }
  asio::post(executor(), [self = shared_from_this(), serial, broken = result == Result::kBroken] {
    if (!self->answers(serial)) return;
    broken ? self->hang_up() : self->flush();
  });
  return true;
}

void Session::end_stream(uint64_t serial) {
  if (!answers(serial) || !streaming_) return;
  ending_ = true;
  flush();
}

void Session::abandon(uint64_t serial) {
  if (!answers(serial)) return;
  if (streaming_) {
    if (!writing_ && pieces_.empty()) return hang_up();
    cut_ = true;  // what was written before still leaves
    return;
  }
  keep_alive_ = false;
  const std::string message = "the server could not answer this request";
  respond(serial, context_.options.refusal ? context_.options.refusal(500, message, {})
                                           : Response{500, "text/plain; charset=utf-8", {}, message + "\n"});
}

void Session::cut_slow_reader(uint64_t serial) {
  if (!answers(serial)) return;
  ++context_.slow_readers_total;
  hang_up();
}

// Pieces that did not come through HttpExchange::write().
void Session::add_idle_bytes(const std::string& bytes) {
  pieces_ += bytes;
  context_.held_bytes += bytes.size();
  if (exchange_) exchange_->unsent_bytes += bytes.size();
}

// What leaves next: all that waits, up to the first piece with a receipt, which becomes in_flight_receipt_.
std::string Session::take_pieces() {
  const size_t begin = pieces_taken_;
  size_t end = pieces_.size();
  if (!receipts_.empty()) {
    end = receipts_.front().first;
    in_flight_receipt_ = std::move(receipts_.front().second);
    receipts_.pop_front();
  }
  std::string taken = pieces_.substr(begin, end - begin);
  pieces_taken_ = end;
  // What has left goes once it is half of it: a backlog of n bytes moves 2 n, not one of each piece.
  if (2 * pieces_taken_ >= pieces_.size()) {
    pieces_.erase(0, pieces_taken_);
    for (auto& waiting : receipts_) waiting.first -= pieces_taken_;
    pieces_taken_ = 0;
  }
  return taken;
}

// Where the next piece of a stream would find nothing before it. TLS has one writer, the strand.
void Session::open_lane() {
  if (!streaming_ || held_ || ending_ || cut_ || head_only_ || stream_.is_tls()) return;
  lane_.open(stream_.socket().native_handle(), serial_, chunked_, receipts_seen_);
}

void Session::flush() {
  if (writing_) return;
  DirectLane::Rest rest = lane_.close();
  in_flight_ = std::move(rest.bytes);
  in_flight_pieces_ = rest.piece_bytes;
  in_flight_receipt_ = std::move(rest.receipt);
  if (in_flight_.empty()) take_next();
  if (in_flight_.empty()) {
    release_pieces();
    return ending_ ? finish_answer() : open_lane();
  }
  writing_ = true;
  if (!behind_) begin_taking();
  write_from(0);
}

// Into in_flight_ what leaves next.
void Session::take_next() {
  in_flight_ = std::exchange(outbox_, {});
  in_flight_receipt_ = std::exchange(whole_receipt_, nullptr);
  const std::string pieces = take_pieces();
  in_flight_pieces_ += pieces.size();
  if (!pieces.empty() && !head_only_) in_flight_ += chunked_ ? encode_chunk(pieces) : pieces;
  if (ending_ && pieces_.empty() && streaming_ && chunked_ && !head_only_) {
    in_flight_ += "0\r\n\r\n";
    chunked_ = false;  // written once
  }
  if (!in_flight_receipt_ || in_flight_.empty()) return;
  in_flight_receipt_->leaving(stream_.socket().native_handle(), in_flight_.size());
  receipts_seen_ = true;
}

// The client is behind from here, for as long as something waits.
void Session::begin_taking() {
  behind_ = true;
  written_bytes_ = 0;
  unacknowledged_ = unacknowledged_bytes(stream_.socket().native_handle());
  set_deadline(context_.options.write_timeout);
}

// Whether it has taken enough of what waits since this was last asked. What counts is what its machine has
// acknowledged: the kernel lets us write more only once a large part of its buffer is free.
bool Session::is_taking() {
  const int64_t now = unacknowledged_bytes(stream_.socket().native_handle());
  const int64_t taken = std::exchange(unacknowledged_, now) + std::exchange(written_bytes_, 0) - now;
  const ServerOptions& options = context_.options;
  return taken > 0 &&
         static_cast<double>(taken) >= options.min_answer_bytes_per_second * options.write_timeout;
}

void Session::write_from(size_t written) {
  stream_.async_write_some(
      asio::buffer(in_flight_.data() + written, std::min(kWriteBytes, in_flight_.size() - written)),
      [self = shared_from_this(), written](error_code ec, size_t n) {
        self->written_bytes_ += static_cast<int64_t>(n);
        if (!ec && self->phase_ != Phase::kClosed && written + n < self->in_flight_.size()) {
          return self->write_from(written + n);
        }
        self->on_written(ec);
      });
}

void Session::on_written(error_code ec) {
  writing_ = false;
  if (phase_ == Phase::kClosed) return;
  if (ec) return hang_up();
  if (auto receipt = std::exchange(in_flight_receipt_, nullptr)) receipt->left();
  release_pieces();
  if (!pieces_.empty() || ending_) return flush();
  if (cut_) return hang_up();
  behind_ = false;
  set_deadline(context_.options.stream_idle_seconds);  // on_deadline() sends idle_bytes_
  open_lane();
}

void Session::release_pieces() {
  context_.held_bytes -= in_flight_pieces_;
  if (exchange_) exchange_->unsent_bytes -= in_flight_pieces_;
  in_flight_pieces_ = 0;
}

void Session::drop_receipts() {
  receipts_.clear();
  whole_receipt_.reset();
  in_flight_receipt_.reset();
}

void Session::finish_answer() {
  exchange_->finish();
  exchange_.reset();
  drop_receipts();
  held_.reset();
  ending_ = streaming_ = chunked_ = receipts_seen_ = behind_ = false;
  release_answer_bytes();
  for (std::string* buffer : {&outbox_, &pieces_, &in_flight_}) release_memory(*buffer);
  pieces_taken_ = 0;
  release_answer();
  // Also while draining, where the client was told that it may go on: it is answered with 503.
  if (!keep_alive_) return linger();
  if (!received_.empty()) return begin_request();
  wait_for_request();
}

void Session::release_answer() {
  if (!std::exchange(counted_, false)) return;
  --context_.answering;
  context_.on_answered();
}

// ---- Ending ----

// Closing a socket with unread bytes makes the kernel send a reset, which can overtake the answer. So: say
// that we are done, and read for a moment what still comes.
void Session::linger() {
  phase_ = Phase::kLinger;
  release_memory(received_);
  linger_bytes_left_ = kLingerBytes;
  linger_end_ = Clock::now() + std::chrono::duration_cast<Clock::duration>(
                                   std::chrono::duration<double>(kMostLingerSeconds));
  set_deadline(kLingerSeconds);
  if (stream_.is_tls()) {
    // Its close_notify tells the client that nothing was cut off; what the client says to it does not matter.
    stream_.async_shutdown([self = shared_from_this()](error_code) {});
  } else {
    error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
  if (!reading_) discard_more();
}

// What still comes is thrown away where it is, in the kernel: a body that was refused may have many
// megabytes.
void Session::discard_more() {
  if (stream_.is_tls()) return read_more();
  release_memory(incoming_);
  stream_.socket().async_wait(asio::socket_base::wait_read, [self = shared_from_this()](error_code ec) {
    if (self->phase_ == Phase::kClosed) return;
    const ssize_t n =
        ec ? 0
           : ::recv(self->stream_.socket().native_handle(), nullptr, kDiscardBytes, MSG_TRUNC | MSG_DONTWAIT);
    const bool nothing = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
    self->on_discarded(nothing || n > 0, n > 0 ? static_cast<size_t>(n) : 0);
  });
}

void Session::on_discarded(bool open, size_t n) {
  if (!open || n > linger_bytes_left_) return close();
  linger_bytes_left_ -= n;
  if (n == 0) return discard_more();
  if (!context_.draining) {
    set_deadline(std::min(kLingerSeconds, std::chrono::duration<double>(linger_end_ - Clock::now()).count()));
  }
  if (!discard_timer_) discard_timer_ = std::make_unique<asio::steady_timer>(stream_.get_executor());
  discard_timer_->expires_after(std::chrono::microseconds(n * 1'000'000 / kDiscardBytesPerSecond));
  discard_timer_->async_wait([self = shared_from_this()](error_code) {
    if (self->phase_ != Phase::kClosed) self->discard_more();
  });
}

void Session::hang_up() {
  if (phase_ == Phase::kClosed) return;
  spdlog::debug("http: the client left before its answer was complete");
  close();
}

void Session::close() {
  if (phase_ == Phase::kClosed) return;
  phase_ = Phase::kClosed;
  clear_deadline();
  timer_.cancel();
  const DirectLane::Rest rest = lane_.close();
  error_code ignored;
  // Shut down, not only closed: the ledger's witness may hold a duplicate.
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
  drop_receipts();
  context_.held_bytes -=
      pieces_.size() - pieces_taken_ + std::exchange(in_flight_pieces_, 0) + rest.piece_bytes;
  release_answer_bytes();
  release_body();
  if (auto exchange = std::exchange(exchange_, nullptr)) exchange->hung_up();
  release_answer();
  context_.on_closed(this);
}

}  // namespace hadal::serve::http
