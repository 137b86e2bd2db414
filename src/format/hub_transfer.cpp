#include "format/hub_transfer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cmath>
#include <cstring>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"

namespace hadal::format {
namespace fs = std::filesystem;

namespace {

constexpr int64_t kProgressBytes = 1 << 20;  // an attempt that brought so much does not count as a failure
constexpr int kMaxRestarts = 3;
constexpr int kMaxCorrupt = 2;

// -1: no such file.
int64_t file_bytes(const std::string& path) {
  struct stat info {};
  return ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode) ? info.st_size : -1;
}

bool is_hash(const std::string& id) { return id.starts_with("sha256:") || id.starts_with("git:"); }

bool is_hex(const std::string& text, size_t digits) {
  return text.size() == digits && text.find_first_not_of("0123456789abcdef") == std::string::npos;
}

}  // namespace

HubTransfer::HubTransfer(const HubOptions& options, const HubListing& listing, const HubFile& file,
                         const std::string& folder, PullRecord& record, PullCounters& counters)
    : options_(options),
      listing_(listing),
      file_(file),
      id_(file.content_id()),
      path_(folder + "/" + file.path),
      what_(listing.repository + ": " + file.path),
      record_(record),
      counters_(counters) {
  HADAL_CHECK(is_safe_path(file.path));
  // Without a hash from the list, a commit and a path name the content as well; a branch's name does not.
  if (id_.empty() && is_hex(listing.commit, 40)) id_ = "commit:" + listing.commit;
}

HubTransfer::~HubTransfer() { close_part(); }

bool HubTransfer::can_continue(const std::optional<PartState>& state, int64_t part_bytes) const {
  if (!state || part_bytes <= 0 || state->id != id_) return false;
  if (file_.size >= 0 && state->size != file_.size) return false;
  return state->size < 0 || part_bytes <= state->size;
}

int64_t HubTransfer::resumable_bytes() const {
  const int64_t bytes = file_bytes(part_path(path_));
  return can_continue(read_part_state(path_), bytes) ? bytes : 0;
}

bool HubTransfer::is_complete() {
  const int64_t bytes = file_bytes(path_);
  if (bytes < 0 || (file_.size >= 0 && bytes != file_.size)) return false;
  if (!record_.holds(file_.path, id_)) {
    if (!is_hash(id_)) return false;
    ContentHash hash(id_, bytes);
    if (!hash.add_file(path_, bytes, options_.stopped))
      throw_error(ErrorCode::kCancelled, "[hub] {}: interrupted", what_);
    if (hash.finish() != id_) {
      if (options_.notice) options_.notice(what_ + ": differs from the hub's; fetched again");
      return false;
    }
    record_.add(file_.path, id_);
  }
  counters_.bytes_done += bytes;
  return true;
}

void HubTransfer::run(HttpClient& client) {
  fs::create_directories(fs::path(path_).parent_path());
  resume_from_disk();
  for (int failures = 0;; ++failures) {
    const int64_t before = offset_;
    Step step = Step::kAgain;
    while (step == Step::kAgain) step = attempt(client);
    if (step == Step::kDone) return;
    if (offset_ - before >= kProgressBytes) failures = 0;
    if (failures == options_.retries) {
      throw_error(ErrorCode::kIo, "[hub] {}: {} (attempt {}); what came is kept: the same command continues",
                  what_, complaint_, failures + 1);
    }
    const double wait = backoff_wait(options_, failures, retry_after_);
    if (options_.notice) {
      options_.notice(fmt::format("{}: {}; again from {} in {:.0f} s", what_, complaint_, bytes_text(offset_),
                                  std::ceil(wait)));
    }
    sleep_unless_stopped(options_, wait);
  }
}

HubTransfer::Step HubTransfer::attempt(HttpClient& client) {
  complaint_.clear();
  must_restart_ = false;
  retry_after_ = 0;
  if (offset_ > 0 && offset_ == state_.size) return finish();  // all was there before the process ended
  const HttpOutcome outcome = client.get(
      resolve_url(options_, listing_.repository, listing_.commit, file_.path), offset_,
      [this](const HttpHead& head) { return accept(head); },
      [this](std::string_view bytes) { return write(bytes); });
  const int status = outcome.head.status;
  switch (outcome.kind) {
    case HttpOutcome::Kind::kStopped:
      throw_error(ErrorCode::kCancelled, "[hub] {}: interrupted", what_);
    case HttpOutcome::Kind::kRefused:
      if (must_restart_) restart();
      return complaint_.empty() ? Step::kAgain : Step::kWait;
    case HttpOutcome::Kind::kFailed:
      complaint_ = outcome.reason;
      if (outcome.permanent) throw_error(ErrorCode::kIo, "[hub] {}: {}", what_, complaint_);
      return Step::kWait;
    case HttpOutcome::Kind::kComplete:
      break;
  }
  if (status == 416) {  // the partial file is longer than the server's
    restart();
    return Step::kAgain;
  }
  if (status != 200 && status != 206) {
    if (!is_worth_a_retry(outcome.head)) throw_refusal(options_, listing_.repository, what_, outcome.head);
    complaint_ = fmt::format("HTTP {}", status);
    retry_after_ = outcome.head.retry_after;
    return Step::kWait;
  }
  if (state_.size >= 0 && offset_ < state_.size) {
    complaint_ = fmt::format("the answer ended at {} of {} bytes", offset_, state_.size);
    return Step::kWait;
  }
  return finish();
}

bool HubTransfer::complain(const std::string& reason) {
  complaint_ = reason;
  return false;
}

// Before the first byte of an answer: is it this file, and does it go on where we are?
bool HubTransfer::accept(const HttpHead& head) {
  if (file_.size >= 0 && head.linked_size >= 0 && head.linked_size != file_.size) {
    return complain(fmt::format("the hub's list says {} bytes, its answer {}", file_.size, head.linked_size));
  }
  if (!file_.sha256.empty() && is_hex(head.linked_etag, 64) && head.linked_etag != file_.sha256) {
    return complain(
        fmt::format("the hub's list says SHA-256 {}, its answer {}", file_.sha256, head.linked_etag));
  }
  if (head.status == 206) return accept_part(head);
  if (file_.size >= 0 && head.content_length >= 0 && head.content_length != file_.size) {
    return complain(
        fmt::format("the hub's list says {} bytes, the answer has {}", file_.size, head.content_length));
  }
  begin_at_zero(head);  // also when a range was asked for: this server has none
  return true;
}

bool HubTransfer::accept_part(const HttpHead& head) {
  if (head.range_begin != offset_) {
    return complain(fmt::format("asked for bytes from {}, got them from {}", offset_, head.range_begin));
  }
  if (state_.size >= 0 && head.range_total >= 0 && head.range_total != state_.size) {
    return complain(fmt::format("{} bytes are expected, the server has {}", state_.size, head.range_total));
  }
  const std::string& etag = head.content_etag();
  must_restart_ = etag != state_.etag || (etag.empty() && !is_hash(id_));
  return !must_restart_;
}

bool HubTransfer::write(std::string_view bytes) {
  if (state_.size >= 0 && static_cast<int64_t>(bytes.size()) > state_.size - offset_) {
    must_restart_ = true;
    return complain(fmt::format("more than the {} bytes that are expected", state_.size));
  }
  while (!bytes.empty()) {
    const ssize_t put = ::pwrite(fd_, bytes.data(), bytes.size(), offset_);
    if (put < 0 && errno == EINTR) continue;
    if (put <= 0) fail_disk("write");
    const auto done = static_cast<size_t>(put);
    if (hash_) hash_->add(bytes.substr(0, done));
    offset_ += put;
    counters_.bytes_done += put;
    counters_.bytes_fetched += put;
    bytes.remove_prefix(done);
  }
  return true;
}

// The content as a hash, from the list or else from an ETag that is one; empty: neither.
std::string HubTransfer::hash_id() const {
  if (is_hash(id_)) return id_;
  if (is_hex(state_.etag, 64)) return "sha256:" + state_.etag;
  return is_hex(state_.etag, 40) && state_.size >= 0 ? "git:" + state_.etag : "";
}

void HubTransfer::begin_at_zero(const HttpHead& head) {
  counters_.bytes_done -= offset_;
  offset_ = 0;
  const int64_t said = head.linked_size >= 0 ? head.linked_size : head.content_length;
  state_ = {id_, head.content_etag(), file_.size >= 0 ? file_.size : said};
  open_part(/*truncate=*/true);
  write_part_state(path_, state_);  // the bytes follow: a state never describes another file's
  hash_.reset();
  if (const std::string id = hash_id(); !id.empty()) hash_.emplace(id, state_.size);
}

void HubTransfer::resume_from_disk() {
  const int64_t bytes = file_bytes(part_path(path_));
  const auto state = read_part_state(path_);
  if (!can_continue(state, bytes)) {
    remove_part(path_);
    return;
  }
  state_ = *state;
  if (const std::string id = hash_id(); !id.empty()) {
    hash_.emplace(id, state_.size);
    if (!hash_->add_file(part_path(path_), bytes, options_.stopped))
      throw_error(ErrorCode::kCancelled, "[hub] {}: interrupted", what_);
  }
  open_part(/*truncate=*/false);
  offset_ = bytes;
  counters_.bytes_done += bytes;
}

// From the first byte again.
void HubTransfer::restart() {
  if (++restarts_ > kMaxRestarts) {
    throw_error(ErrorCode::kIo, "[hub] {}: the server's content changes all the time{}", what_,
                complaint_.empty() ? "" : " (" + complaint_ + ")");
  }
  counters_.bytes_done -= offset_;
  offset_ = 0;
  state_ = {};
  hash_.reset();
  close_part();
  remove_part(path_);
}

HubTransfer::Step HubTransfer::finish() {
  const std::string expected = hash_id();
  const std::string actual = hash_ ? hash_->finish() : expected;
  hash_.reset();
  if (actual == expected) {
    publish();
    return Step::kDone;
  }
  --restarts_;  // counted by corrupt_ instead
  restart();    // wrong bytes are of no use
  if (++corrupt_ == kMaxCorrupt) {
    throw_error(
        ErrorCode::kIo,
        "[hub] {}: twice the bytes were {} where {} is right: something on the way changes them; nothing of "
        "the file is kept",
        what_, actual, expected);
  }
  if (options_.notice)
    options_.notice(what_ + ": the bytes are not what the hub's list says; from the start again");
  return Step::kAgain;
}

void HubTransfer::publish() {
  if (::fsync(fd_) != 0) fail_disk("sync");
  close_part();
  if (::rename(part_path(path_).c_str(), path_.c_str()) != 0) fail_disk("rename");
  base::sync_directory(fs::path(path_).parent_path().string());
  remove_part(path_);  // only the state is left of it
  record_.add(file_.path, id_);
}

void HubTransfer::open_part(bool truncate) {
  close_part();
  const int flags = O_WRONLY | O_CREAT | O_CLOEXEC | (truncate ? O_TRUNC : 0);
  fd_ = ::open(part_path(path_).c_str(), flags, 0644);
  if (fd_ < 0) fail_disk("create");
}

void HubTransfer::close_part() {
  if (fd_ >= 0) ::close(fd_);
  fd_ = -1;
}

void HubTransfer::fail_disk(const char* action) const {
  throw_error(ErrorCode::kIo, "[hub] cannot {} {}: {}; what came is kept: the same command continues", action,
              part_path(path_), std::strerror(errno));
}

}  // namespace hadal::format
