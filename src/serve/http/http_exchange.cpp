#include "serve/http/http_exchange.h"

#include <boost/asio/post.hpp>
#include <utility>

#include "serve/http/session.h"

namespace hadal::serve::http {

namespace {

// Of a stream that is no further behind than this, nothing is cut for the sake of all connections' memory.
constexpr size_t kFairUnsentBytes = 64 * 1024;

}  // namespace

void ExchangeState::finish() {
  open = false;
  std::function<void()> dropped;  // destroyed outside the lock: it may own anything
  const std::lock_guard lock(mutex);
  dropped.swap(hang_up);
}

void ExchangeState::hung_up() {
  open = false;
  std::function<void()> callback;
  {
    const std::lock_guard lock(mutex);
    gone = true;
    callback.swap(hang_up);
  }
  if (callback) callback();
}

HttpExchange::HttpExchange(std::shared_ptr<Session> session, std::shared_ptr<ExchangeState> state,
                           uint64_t serial)
    : session_(std::move(session)), state_(std::move(state)), serial_(serial) {}

HttpExchange::~HttpExchange() {
  if (!state_->open) return;
  asio::post(session_->executor(), [session = session_, serial = serial_] { session->abandon(serial); });
}

void HttpExchange::respond(Response response) {
  asio::post(session_->executor(),
             [session = session_, serial = serial_, response = std::move(response)]() mutable {
               session->respond(serial, std::move(response));
             });
}

void HttpExchange::hold(StreamHead head) {
  asio::post(session_->executor(), [session = session_, serial = serial_, head = std::move(head)]() mutable {
    session->hold(serial, std::move(head));
  });
}

void HttpExchange::begin_stream(StreamHead head) {
  asio::post(session_->executor(), [session = session_, serial = serial_, head = std::move(head)]() mutable {
    session->begin_stream(serial, std::move(head));
  });
}

bool HttpExchange::write(std::string bytes, std::shared_ptr<Receipt> receipt) {
  if (!state_->open) return false;
  SessionContext& context = session_->context();
  const size_t before = state_->unsent_bytes.fetch_add(bytes.size());
  const size_t unsent = before + bytes.size();
  const size_t held = context.held_bytes.fetch_add(bytes.size()) + bytes.size();
  if (unsent > context.options.max_unsent_bytes ||
      (held > context.options.max_held_bytes && unsent > kFairUnsentBytes)) {
    context.held_bytes -= bytes.size();
    asio::post(session_->executor(),
               [session = session_, serial = serial_] { session->cut_slow_reader(serial); });
    return false;
  }
  if (before == 0 && session_->write_now(serial_, *state_, bytes, receipt)) return true;
  asio::post(session_->executor(), [session = session_, serial = serial_, bytes = std::move(bytes),
                                    receipt = std::move(receipt)]() mutable {
    session->write(serial, std::move(bytes), std::move(receipt));
  });
  return true;
}

void HttpExchange::end_stream() {
  asio::post(session_->executor(), [session = session_, serial = serial_] { session->end_stream(serial); });
}

void HttpExchange::on_hang_up(std::function<void()> callback) {
  {
    const std::lock_guard lock(state_->mutex);
    if (!state_->gone) {
      if (state_->open) state_->hang_up = std::move(callback);
      return;
    }
  }
  callback();
}

}  // namespace hadal::serve::http
