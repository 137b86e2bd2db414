// The half of a Session that writes: answers, whole and in pieces, and the connection's end.
#include <fmt/format.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <utility>

#include "serve/http/session.h"

namespace hadal::serve::http {

namespace {

constexpr double kLingerSeconds = 2;
constexpr size_t kLingerBytes = 32 * 1024 * 1024;
// Written at a time: each is progress, for which the client has write_timeout.
constexpr size_t kWriteBytes = 64 * 1024;

}  // namespace

void Session::respond(uint64_t serial, Response response) {
  if (!answers(serial)) return;
  if (streaming_) {
    if (!held_) return;
    add_idle_bytes(response.body);
    if (response.receipt) receipts_.emplace_back(pieces_.size(), std::move(response.receipt));
    ending_ = true;
    return flush();
  }
  whole_receipt_ = std::move(response.receipt);
  keep_alive_ = keep_alive_ && !context_.draining;
  outbox_ = encode_head(response.status, response.content_type, response.headers,
                        response.status == 204 || response.status == 304
                            ? std::string()
                            : fmt::format("Content-Length: {}", response.body.size()),
                        keep_alive_);
  if (!head_only_) outbox_ += response.body;
  ending_ = true;
  flush();
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

void Session::flush() {
  if (writing_) return;
  in_flight_ = std::exchange(outbox_, {});
  in_flight_receipt_ = std::exchange(whole_receipt_, nullptr);
  const std::string pieces = take_pieces();
  in_flight_pieces_ = pieces.size();
  if (!pieces.empty() && !head_only_) in_flight_ += chunked_ ? encode_chunk(pieces) : pieces;
  if (ending_ && pieces_.empty() && streaming_ && chunked_ && !head_only_) {
    in_flight_ += "0\r\n\r\n";
    chunked_ = false;  // written once
  }
  if (in_flight_.empty()) {
    release_pieces();
    if (ending_) finish_answer();
    return;
  }
  writing_ = true;
  if (in_flight_receipt_) in_flight_receipt_->leaving(stream_.socket().native_handle(), in_flight_.size());
  write_from(0);
}

void Session::write_from(size_t written) {
  set_deadline(context_.options.write_timeout);
  stream_.async_write_some(
      asio::buffer(in_flight_.data() + written, std::min(kWriteBytes, in_flight_.size() - written)),
      [self = shared_from_this(), written](error_code ec, size_t n) {
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
  clear_deadline();
  if (!pieces_.empty() || ending_) return flush();
  if (cut_) return hang_up();
  set_deadline(context_.options.stream_idle_seconds);  // on_deadline() sends idle_bytes_
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
  ending_ = streaming_ = chunked_ = false;
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
  set_deadline(kLingerSeconds);
  if (stream_.is_tls()) {
    // Its close_notify tells the client that nothing was cut off; what the client says to it does not matter.
    stream_.async_shutdown([self = shared_from_this()](error_code) {});
  } else {
    error_code ignored;
    stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_send, ignored);
  }
  read_more();
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
  error_code ignored;
  // Shut down, not only closed: the ledger's witness may hold a duplicate.
  stream_.socket().shutdown(asio::ip::tcp::socket::shutdown_both, ignored);
  stream_.socket().close(ignored);
  drop_receipts();
  context_.held_bytes -= pieces_.size() - pieces_taken_ + std::exchange(in_flight_pieces_, 0);
  release_body();
  if (auto exchange = std::exchange(exchange_, nullptr)) exchange->hung_up();
  release_answer();
  context_.on_closed(this);
}

}  // namespace hadal::serve::http
