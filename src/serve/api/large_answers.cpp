#include "serve/api/large_answers.h"

#include <fmt/format.h>

#include <utility>

namespace hadal::serve::api {

class LargeAnswers::Room {
 public:
  Room(std::shared_ptr<Held> held, std::string caller, int64_t entries)
      : held_(std::move(held)), caller_(std::move(caller)), entries_(entries) {}
  ~Room() {
    const std::lock_guard lock(held_->mutex);
    held_->all -= entries_;
    const auto own = held_->of.find(caller_);
    if ((own->second -= entries_) == 0) held_->of.erase(own);
  }
  Room(const Room&) = delete;
  Room& operator=(const Room&) = delete;

 private:
  const std::shared_ptr<Held> held_;
  const std::string caller_;
  const int64_t entries_;
};

LargeAnswers::LargeAnswers() : thread_([this] { work(); }) {}

LargeAnswers::~LargeAnswers() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

std::shared_ptr<void> LargeAnswers::take(const std::string& caller, int64_t entries) {
  const std::lock_guard lock(held_->mutex);
  const auto own = held_->of.find(caller);
  const int64_t has = own == held_->of.end() ? 0 : own->second;
  if (!caller.empty() && has + entries > kMaxCallersLogprobEntries) {
    throw ApiError(
        429, "logprobs_limit",
        fmt::format("Rate limit reached: this API key's whole answers under way have room for {} "
                    "log-probabilities, at most {}, and this one asks for {}: wait for one to end, "
                    "or stream",
                    has, kMaxCallersLogprobEntries, entries),
        "logprobs")
        .with_header("Retry-After", "1");
  }
  if (held_->all + entries > kMaxServersLogprobEntries) {
    throw ApiError(503, "server_overloaded",
                   "too many log-probabilities of whole answers wait in memory; try again later, or stream",
                   "logprobs")
        .with_header("Retry-After", "1");
  }
  auto room = std::make_shared<Room>(held_, caller, entries);
  held_->all += entries;
  held_->of[caller] += entries;
  return room;
}

void LargeAnswers::post(std::function<void()> job) {
  const std::lock_guard lock(mutex_);
  jobs_.push_back(std::move(job));
  wake_.notify_one();
}

void LargeAnswers::work() {
  std::unique_lock lock(mutex_);
  for (;;) {
    wake_.wait(lock, [this] { return stopping_ || !jobs_.empty(); });
    if (jobs_.empty()) return;
    std::function<void()> job = std::move(jobs_.front());
    jobs_.pop_front();
    lock.unlock();
    job();
    job = nullptr;  // with what it holds
    lock.lock();
  }
}

}  // namespace hadal::serve::api
