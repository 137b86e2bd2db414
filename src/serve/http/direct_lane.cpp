#include "serve/http/direct_lane.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

namespace hadal::serve::http {

bool SendAllowance::is_left(Clock::time_point now) {
  left_ = std::min(kMost, left_ + (now - std::exchange(seen_, now)) / kShare);
  return left_ > Clock::duration::zero();
}

void SendAllowance::spend(Clock::duration time) { left_ -= std::min(time, kMostOfOne); }

void DirectLane::open(int socket, uint64_t serial, bool chunked, bool receipts) {
  const std::lock_guard lock(mutex_);
  serial_ = serial;
  socket_ = socket;
  chunked_ = chunked;
  receipts_ = receipts;
}

DirectLane::Rest DirectLane::close() {
  const std::lock_guard lock(mutex_);
  serial_ = 0;
  socket_ = -1;
  return std::exchange(rest_, {});
}

DirectLane::Clock::time_point DirectLane::last_write() const {
  const std::lock_guard lock(mutex_);
  return last_write_;
}

DirectLane::Result DirectLane::write(uint64_t serial, std::string_view piece,
                                     std::shared_ptr<Receipt>& receipt) {
  thread_local SendAllowance allowance;
  const auto begun = Clock::now();
  if (!allowance.is_left(begun)) return Result::kRefused;
  std::shared_ptr<Receipt> done;  // dropped outside the lock: it may own anything
  const std::unique_lock lock(mutex_, std::try_to_lock);
  if (!lock || serial_ != serial || (receipt && !receipts_)) return Result::kRefused;
  std::string frame = chunked_ ? encode_chunk(piece) : std::string(piece);
  if (receipt) receipt->leaving(socket_, frame.size());
  const ssize_t n = ::send(socket_, frame.data(), frame.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  const bool later = n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR);
  const bool all = n == static_cast<ssize_t>(frame.size());
  done = std::move(receipt);
  if (all) {
    last_write_ = Clock::now();
    if (done) done->left();
    allowance.spend(last_write_ - begun);
    return Result::kSent;
  }
  serial_ = 0;
  if (n < 0 && !later) {
    rest_.piece_bytes = piece.size();
    return Result::kBroken;
  }
  if (n > 0) frame.erase(0, static_cast<size_t>(n));
  rest_ = {std::move(frame), piece.size(), std::move(done)};
  return Result::kRest;
}

}  // namespace hadal::serve::http
