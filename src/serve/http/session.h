// One connection: read a request, hand it over, write the answer, again. Internal to serve/http.
// Everything runs on the connection's strand, except HttpExchange, which any thread may call, and
// write_now(). session.cpp reads, session_answer.cpp writes.
#pragma once

#include <atomic>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/thread_pool.hpp>
#include <chrono>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "serve/http/address_limit.h"
#include "serve/http/direct_lane.h"
#include "serve/http/http_exchange.h"
#include "serve/http/request_parser.h"
#include "serve/http/server.h"
#include "serve/http/stream.h"

namespace hadal::serve::http {

// What sessions share; owned by the server and outlives them.
struct SessionContext {
  const ServerOptions& options;
  const Handler* handler = nullptr;
  // Where handlers run: requests with large bodies, which take their time, have a thread of their own, so
  // that the others do not wait for them.
  asio::thread_pool* handlers = nullptr;
  asio::thread_pool* large_handlers = nullptr;

  std::atomic<bool> draining{false};
  std::atomic<int64_t> answering{0};  // requests that a handler has, or whose answer is on its way
  std::atomic<size_t> held_bytes{0};  // of bodies under way and answers unsent, of all connections

  std::atomic<uint64_t> requests_total{0}, refused_requests_total{0}, slow_readers_total{0};

  // Any transport thread.
  std::function<void(Session*)> on_closed = {};  // once per session
  std::function<void()> on_answered = {};        // `answering` has gone down
};

// clear() would keep it: there are many idle connections.
template <typename Buffer>
void release_memory(Buffer& buffer) {
  Buffer().swap(buffer);
}

class Session : public std::enable_shared_from_this<Session> {
 public:
  // `tls` null: plain.
  // `address_held`: of the client's address; null: not bounded.
  Session(Socket socket, const std::shared_ptr<asio::ssl::context>& tls, SessionContext& context,
          AddressLimit::HeldBytes address_held);
  ~Session();

  // Any thread.
  void start();
  void refuse_and_close(int status, std::string message);
  void drain();  // closes unless an answer is under way; that one is finished first
  void cut();    // closes now

  Strand executor() { return stream_.get_executor(); }
  SessionContext& context() { return context_; }

 private:
  friend class HttpExchange;
  using Clock = std::chrono::steady_clock;
  enum class Phase { kHandshake, kIdle, kHead, kBody, kHandling, kLinger, kClosed };

  // Reading.
  void tune_socket();
  void handshake();
  void on_handshake(error_code ec);
  void wait_for_request();
  void read_more();
  void on_bytes(error_code ec, size_t n);
  void on_end_of_input(error_code ec);
  void begin_request();
  void parse();
  bool begin_body();  // false: the request is refused
  bool take_body_bytes(size_t n);
  void release_body();
  void say_continue();
  void refuse(int status, const std::string& message);
  void refuse_malformed(error_code ec);
  void dispatch();

  // Answering; `serial` as in HttpExchange.
  void respond(uint64_t serial, Response response);
  bool take_answer_bytes(size_t n);
  void release_answer_bytes();
  void hold(uint64_t serial, StreamHead head);
  void begin_stream(uint64_t serial, StreamHead head);
  // Its bytes are counted in held_bytes already.
  void write(uint64_t serial, std::string bytes, std::shared_ptr<Receipt> receipt);
  // Any thread, where nothing else of the answer waits to be written: as write(), at once. False when it is
  // to be queued; `receipt` is untouched then.
  bool write_now(uint64_t serial, ExchangeState& state, std::string_view bytes,
                 std::shared_ptr<Receipt>& receipt);
  void end_stream(uint64_t serial);
  void abandon(uint64_t serial);
  void cut_slow_reader(uint64_t serial);
  // Of max_held_bytes, one address.
  size_t address_share() const { return context_.options.max_held_bytes / 8; }
  bool answers(uint64_t serial) const { return phase_ == Phase::kHandling && serial == serial_ && !ending_; }
  void add_idle_bytes(const std::string& bytes);
  std::string take_pieces();
  void drop_receipts();
  void open_lane();
  void flush();
  void take_next();
  void write_from(size_t written);  // of in_flight_
  void begin_taking();
  bool is_taking();
  void on_written(error_code ec);
  void release_pieces();
  void finish_answer();
  void release_answer();

  // Ending.
  void linger();
  void discard_more();
  void on_discarded(bool open, size_t n);
  void hang_up();
  void close();

  // One deadline at a time. The timer is set for the earliest there was, and looks again when it fires: a
  // stream moves its deadline with each token.
  void set_deadline(double seconds);
  void clear_deadline() { deadline_ = Clock::time_point::max(); }
  void arm_timer(Clock::time_point at);
  void on_deadline();
  void on_body_deadline();
  void on_stream_idle();

  Stream stream_;
  DirectLane lane_;
  asio::steady_timer timer_;
  SessionContext& context_;
  const AddressLimit::HeldBytes address_held_;
  Phase phase_ = Phase::kIdle;

  std::vector<char> incoming_;  // of the read that is pending
  bool reading_ = false;        // one is
  std::string received_;        // received and not yet parsed
  std::optional<RequestParser> parser_;
  size_t body_wire_bytes_ = 0;    // of this request behind its headers, with the chunks' own
  size_t held_body_bytes_ = 0;    // of these, counted in context_.held_bytes and address_held_
  size_t window_bytes_ = 0;       // since the body was last looked at
  Clock::time_point body_end_;    // it must be complete then
  size_t linger_bytes_left_ = 0;  // what is still read behind the last answer,
  Clock::time_point linger_end_;  // and until when
  std::unique_ptr<asio::steady_timer> discard_timer_;

  Clock::time_point deadline_ = Clock::time_point::max();
  Clock::time_point armed_at_ = Clock::time_point::max();

  uint64_t serial_ = 0;
  std::shared_ptr<ExchangeState> exchange_;
  bool counted_ = false;  // in context_.answering
  bool keep_alive_ = false;
  bool http_1_1_ = true;
  bool head_only_ = false;          // HEAD: the headers of the answer without its body
  std::optional<StreamHead> held_;  // sent when the answer takes long
  bool streaming_ = false;
  bool chunked_ = false;
  bool ending_ = false;         // the last byte of the answer is in outbox_ or on its way
  bool receipts_seen_ = false;  // of this answer
  bool cut_ = false;            // the handler went in mid-stream: the connection ends behind what waits
  bool writing_ = false;
  std::string outbox_;       // encoded bytes that wait for the write in flight
  std::string pieces_;       // stream pieces that wait; one chunk when they leave
  size_t pieces_taken_ = 0;  // of its bytes have left already
  std::deque<std::pair<size_t, std::shared_ptr<Receipt>>> receipts_;  // and where in pieces_ their bytes end
  std::shared_ptr<Receipt> whole_receipt_;                            // of the answer in outbox_
  std::shared_ptr<Receipt> in_flight_receipt_;
  std::string in_flight_;
  bool behind_ = false;           // not all that was written has left; since that was last looked at:
  int64_t written_bytes_ = 0;     // handed to the system
  int64_t unacknowledged_ = 0;    // by the client's machine, of what the system had then
  size_t held_answer_bytes_ = 0;  // of a whole answer, counted in context_.held_bytes and address_held_
  size_t in_flight_pieces_ = 0;   // stream bytes of in_flight_, to subtract from unsent_bytes
  std::string idle_bytes_;
};

}  // namespace hadal::serve::http
