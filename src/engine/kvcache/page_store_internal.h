// The inside of a page store: queues, threads and counts, shared by page_store*.cpp.
#pragma once

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "engine/kvcache/page_io.h"
#include "engine/kvcache/page_operation.h"
#include "engine/kvcache/page_store.h"
#include "engine/kvcache/page_store_health.h"

namespace hadal::engine {

using OperationPtr = std::shared_ptr<PageOperation>;
using StoreLock = std::unique_lock<std::mutex>;

inline std::chrono::duration<double> as_seconds(double seconds) {
  return std::chrono::duration<double>(seconds);
}

inline void finish_all(const std::vector<OperationPtr>& operations, bool ok) {
  for (const auto& operation : operations) operation->finish(ok);
}

// Shared by the store and its threads, which may outlive it: one that hangs in a system call is left behind,
// and touches nothing but this when it comes back.
struct PageStore::Impl : std::enable_shared_from_this<PageStore::Impl> {
  struct Worker {
    std::thread thread;
    bool ended = false;
  };

  Impl(const PageStoreOptions& options, const Fingerprint& fingerprint, int64_t payload_bytes,
       std::string description)
      : options(options),
        fingerprint(fingerprint),
        payload_bytes(payload_bytes),
        description(std::move(description)),
        max_pending_writes(options.max_pending_writes > 0
                               ? options.max_pending_writes
                               : std::max<int64_t>(64, (int64_t{128} << 20) / payload_bytes)),
        health(options.directory, options.retry_seconds) {}

  const PageStoreOptions options;
  const Fingerprint fingerprint;
  const int64_t payload_bytes;
  const std::string description;
  const int64_t max_pending_writes;

  mutable std::mutex mutex;  // everything below
  std::condition_variable reads_wake, writes_wake, keeper_wake, watcher_wake, changed;
  std::deque<OperationPtr> reads, writes;  // not begun
  std::vector<OperationPtr> in_flight;     // with a thread
  std::unordered_map<PageKey, OperationPtr, PageKeyHash> writing;
  PageStoreStatus counts;
  PageStoreHealth health;
  std::unordered_set<PageKey, PageKeyHash>
      unreadable;  // pages with a bad place: the next write replaces them
  int failed_reads_in_a_row = 0;
  bool probed = false;
  bool sweep_wanted = true;
  bool sweeping = false;
  std::unordered_set<PageKey, PageKeyHash> written_while_sweeping;
  std::unordered_set<PageKey, PageKeyHash> seen_while_written;  // by the last sweep, before count_write
  bool stopping = false;
  bool left_behind = false;  // the store is gone: a thread that comes back ends at once, without a word
  std::vector<std::unique_ptr<Worker>> workers;

  void start();
  void stop();
  void submit_read(const OperationPtr& operation);
  void submit_write(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens,
                    std::span<const std::byte> payload, std::function<void(bool)> done);
  PageHeader header_of(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens) const;
  PageStoreStatus status() const;

 private:
  void add_thread(void (Impl::*loop)());
  void reader_loop();
  void writer_loop();
  void keeper_loop();   // probes and sweeps: may hang with the directory
  void watcher_loop();  // finds what hangs: touches no file
  void begin(const OperationPtr& operation);
  void end(const OperationPtr& operation);
  void count_read(const PageIo& io, const PageKey& key);
  void count_failed_read(const PageIo& io, const PageKey& key);
  void count_write(const PageIo& io, const PageKey& key);
  void count_bad(const PageIo& io);
  void give_up_stalled(StoreLock& lock);
  void probe(StoreLock& lock);
  void sweep(StoreLock& lock);
  bool directory_is_there() const;
  void directory_gone();
  int64_t pending(bool is_read) const;
  void drop_queue(std::deque<OperationPtr>& queue, std::vector<OperationPtr>& dropped);
};

}  // namespace hadal::engine
