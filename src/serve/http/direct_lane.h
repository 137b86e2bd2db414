// A stream's short way: its pieces are written to the socket by the thread that says them, where nothing of
// the answer waits before them, instead of being handed to a transport thread, which must be woken for it.
// Internal to serve/http.
#pragma once

#include <chrono>
#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <string_view>

#include "serve/http/message.h"

namespace hadal::serve::http {

// What a thread may spend on writing to sockets itself: a sixteenth of its time, saved up for at most kMost.
// An engine's thread says the tokens of a whole batch; past this share the transport's threads write them.
class SendAllowance {
 public:
  using Clock = std::chrono::steady_clock;
  static constexpr int kShare = 16;
  static constexpr Clock::duration kMost = std::chrono::milliseconds(2);
  // Charged for one write at most: what is above it, another thread had the processor.
  static constexpr Clock::duration kMostOfOne = std::chrono::microseconds(50);

  bool is_left(Clock::time_point now);
  void spend(Clock::duration time);

 private:
  Clock::duration left_ = kMost;
  Clock::time_point seen_{};
};

// Open from when the strand has written all there was until it has something to write again, or the answer
// ends.
class DirectLane {
 public:
  using Clock = std::chrono::steady_clock;

  // What a write left, and the strand has to write before anything else.
  struct Rest {
    std::string bytes;  // framed; empty where the client is gone
    size_t piece_bytes = 0;
    std::shared_ptr<Receipt> receipt;  // has been told that they are leaving
  };

  // On the strand. `serial` names the answer and is not 0. Without `receipts`, pieces that want one are
  // refused: an answer's first receipt may take its time, and is for a transport thread.
  void open(int socket, uint64_t serial, bool chunked, bool receipts);
  // On the strand, before it writes, or closes the socket: waits for a write that is under way, which takes
  // microseconds, for none waits for the client.
  Rest close();
  // When anything was last written here.
  Clock::time_point last_write() const;

  // Any thread. Nothing happened; all of it has left; some has (or none), close() gives the rest; the client
  // is gone.
  enum class Result { kRefused, kSent, kRest, kBroken };
  // Takes `receipt`, but when it refuses. `piece` must not be empty.
  Result write(uint64_t serial, std::string_view piece, std::shared_ptr<Receipt>& receipt);

 private:
  mutable std::mutex mutex_;  // guards what follows
  uint64_t serial_ = 0;       // 0: closed
  int socket_ = -1;
  bool chunked_ = false;
  bool receipts_ = false;
  Clock::time_point last_write_{};
  Rest rest_;
};

}  // namespace hadal::serve::http
