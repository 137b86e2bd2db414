#include "format/hub_download.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <filesystem>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"
#include "base/folder_lock.h"
#include "format/hub_record.h"
#include "format/hub_transfer.h"

namespace hadal::format {
namespace fs = std::filesystem;

namespace {

constexpr auto kTick = std::chrono::milliseconds(100);
constexpr int64_t kSpareBytes = 16 << 20;  // for the file system's own books

// The threads of a pull, and what they tell the caller's thread.
class Pull {
 public:
  Pull(const HubOptions& options, const HubListing& listing, std::span<const HubFile> files,
       const std::string& folder, const PullOptions& pull)
      : user_(options), worker_(options), listing_(listing), folder_(folder), pull_(pull), record_(folder) {
    record_.set_source(listing.repository, listing.commit);
    worker_.stopped = [this] { return stop_.load(); };
    worker_.notice = [this](const std::string& line) {
      const std::lock_guard lock(mutex_);
      notices_.push_back(line);
    };
    files_.assign(files.begin(), files.end());
    // The small files first: what is wrong with a name, a token or a disk shows before the first large one.
    std::stable_partition(files_.begin(), files_.end(), [](const HubFile& f) { return f.sha256.empty(); });
    for (const HubFile& file : files_) total_bytes_ += std::max<int64_t>(0, file.size);
  }

  void check_room() {
    int64_t needed = 0;
    std::error_code error;
    for (const HubFile& file : files_) {
      const auto there = fs::file_size(folder_ + "/" + file.path, error);
      if (!error && static_cast<int64_t>(there) == file.size) continue;
      HubTransfer transfer(worker_, listing_, file, folder_, record_, counters_);
      needed += std::max<int64_t>(0, file.size) - transfer.resumable_bytes();
    }
    const fs::space_info space = fs::space(folder_, error);
    if (error || needed <= 0 || static_cast<uint64_t>(needed + kSpareBytes) <= space.available) return;
    throw_error(ErrorCode::kResource,
                "[hub] {}: {} more are needed here, {} are free: make room or choose another --out", folder_,
                bytes_text(needed), bytes_text(static_cast<int64_t>(space.available)));
  }

  PullResult run() {
    const int threads = static_cast<int>(
        std::min(static_cast<size_t>(std::max(1, pull_.parallel)), std::max<size_t>(1, files_.size())));
    running_ = threads;
    std::vector<std::thread> workers;
    for (int i = 0; i < threads; ++i) workers.emplace_back([this] { work(); });
    const bool interrupted = watch();
    for (std::thread& worker : workers) worker.join();
    tell();
    if (error_) std::rethrow_exception(error_);
    if (interrupted) {
      throw_error(ErrorCode::kCancelled, "[hub] interrupted: {} of {} are there; the same command continues",
                  bytes_text(counters_.bytes_done), bytes_text(total_bytes_));
    }
    PullResult result;
    result.files_fetched = counters_.files_fetched;
    result.files_kept = counters_.files_done - counters_.files_fetched;
    result.bytes_fetched = counters_.bytes_fetched;
    result.bytes = counters_.bytes_done;
    return result;
  }

 private:
  void work() {
    try {
      HttpClient client(http_options(worker_));
      while (!stop_) {
        const size_t next = next_++;
        if (next >= files_.size()) break;
        HubTransfer transfer(worker_, listing_, files_[next], folder_, record_, counters_);
        if (!transfer.is_complete()) {
          transfer.run(client);
          ++counters_.files_fetched;
        }
        ++counters_.files_done;
      }
    } catch (const Error& e) {
      if (e.code() != ErrorCode::kCancelled) fail(std::current_exception());
    } catch (...) {
      fail(std::current_exception());
    }
    const std::lock_guard lock(mutex_);
    --running_;
    ended_.notify_one();
  }

  void fail(std::exception_ptr error) {
    const std::lock_guard lock(mutex_);
    if (!error_) error_ = std::move(error);
    stop_ = true;
  }

  // Until the last thread has ended. Returns whether the caller asked to stop.
  bool watch() {
    bool interrupted = false;
    while (true) {
      {
        std::unique_lock lock(mutex_);
        if (ended_.wait_for(lock, kTick, [this] { return running_ == 0; })) return interrupted;
      }
      if (user_.stopped && user_.stopped()) interrupted = stop_ = true;
      tell();
    }
  }

  void tell() {
    std::vector<std::string> lines;
    {
      const std::lock_guard lock(mutex_);
      lines.swap(notices_);
    }
    if (user_.notice)
      for (const std::string& line : lines) user_.notice(line);
    if (!pull_.progress) return;
    pull_.progress({static_cast<int64_t>(files_.size()), counters_.files_done, total_bytes_,
                    counters_.bytes_done, counters_.bytes_fetched});
  }

  const HubOptions& user_;
  HubOptions worker_;
  const HubListing& listing_;
  const std::string folder_;
  const PullOptions& pull_;
  PullRecord record_;
  std::vector<HubFile> files_;
  int64_t total_bytes_ = 0;
  PullCounters counters_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> stop_{false};
  std::mutex mutex_;
  std::condition_variable ended_;
  int running_ = 0;
  std::exception_ptr error_;
  std::vector<std::string> notices_;
};

}  // namespace

PullResult pull_files(const HubOptions& options, const HubListing& listing, std::span<const HubFile> files,
                      const std::string& folder, const PullOptions& pull) {
  const base::FolderLock lock(folder, "hub", "pulls");
  Pull work(options, listing, files, folder, pull);
  work.check_room();
  return work.run();
}

}  // namespace hadal::format
