// Whole answers that are large, above all with log-probabilities (2 us each to write): how much these may
// take while they wait for their end, and the thread that writes them, for the engine's has streams to serve.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <unordered_map>

#include "serve/api/api_error.h"

namespace hadal::serve::api {

// n x max_tokens x (1 + top_logprobs) of whole answers: of one, of one caller's that are under way or unsent,
// of all of these. An entry takes 10 to 40 bytes until the answer's end and about 70 as text.
inline constexpr int64_t kMaxLogprobEntries = 1'000'000;
inline constexpr int64_t kMaxCallersLogprobEntries = 2'000'000;
inline constexpr int64_t kMaxServersLogprobEntries = 4'000'000;

// Any thread.
class LargeAnswers {
 public:
  LargeAnswers();
  ~LargeAnswers();  // runs what was posted; rooms may go later
  LargeAnswers(const LargeAnswers&) = delete;
  LargeAnswers& operator=(const LargeAnswers&) = delete;

  // Room for so many entries, until the last reference goes. `caller` empty: nobody in particular, bounded
  // with all others only. Throws ApiError 429 when this caller has too many, 503 when all have.
  std::shared_ptr<void> take(const std::string& caller, int64_t entries);

  // Runs `job`, which must not throw, on the thread for it, in the order of the calls.
  void post(std::function<void()> job);

 private:
  struct Held {
    std::mutex mutex;
    int64_t all = 0;
    std::unordered_map<std::string, int64_t> of;  // by caller
  };
  class Room;
  void work();

  const std::shared_ptr<Held> held_ = std::make_shared<Held>();
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::deque<std::function<void()>> jobs_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace hadal::serve::api
