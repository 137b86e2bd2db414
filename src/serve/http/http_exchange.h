// The Exchange of a connection. Internal to serve/http.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <string>

#include "serve/http/exchange.h"

namespace hadal::serve::http {

class Session;

// The side of an exchange that both threads touch.
struct ExchangeState {
  std::atomic<bool> open{true};
  std::atomic<size_t> unsent_bytes{0};
  std::mutex mutex;   // guards the two below
  bool gone = false;  // the client left before the end
  std::function<void()> hang_up;

  void finish();   // the answer is complete: drops the callback
  void hung_up();  // the client left: calls it
};

// Hands every call to the connection's strand; holds the connection's memory, not its socket. `serial` names
// the exchange, so that a late call for an earlier one of the connection does nothing.
class HttpExchange final : public Exchange {
 public:
  HttpExchange(std::shared_ptr<Session> session, std::shared_ptr<ExchangeState> state, uint64_t serial);
  ~HttpExchange() override;

  void respond(Response response) override;
  void hold(StreamHead head) override;
  void begin_stream(StreamHead head) override;
  bool write(std::string bytes, std::shared_ptr<Receipt> receipt) override;
  void end_stream() override;
  void on_hang_up(std::function<void()> callback) override;

 private:
  const std::shared_ptr<Session> session_;
  const std::shared_ptr<ExchangeState> state_;
  const uint64_t serial_;
};

}  // namespace hadal::serve::http
