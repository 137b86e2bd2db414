// The threads that read and write pages, and the one that finds those that hang.
#include <algorithm>
#include <bit>
#include <cerrno>
#include <chrono>
#include <utility>

#include "base/clock.h"
#include "base/error.h"
#include "base/log.h"
#include "engine/kvcache/page_store_internal.h"

namespace hadal::engine {
namespace {

constexpr double kWriteStallFactor = 5;      // a sync waits for everybody's writes, a read for its own bytes
constexpr double kReadsFirstSeconds = 0.25;  // how long a write lets waiting reads go first
constexpr int kFailedReadsOfADirectory = 3;  // in a row
constexpr size_t kMostUnreadable = 4096;     // remembered
constexpr auto kStallLook = std::chrono::milliseconds(100);

}  // namespace

void PageStore::Impl::begin(const OperationPtr& operation) {
  operation->mark_progress();
  in_flight.push_back(operation);
  watcher_wake.notify_one();
}

void PageStore::Impl::end(const OperationPtr& operation) {
  std::erase(in_flight, operation);
  if (!operation->is_read) {
    const auto it = writing.find(operation->header.key);
    if (it != writing.end() && it->second == operation) writing.erase(it);
  }
  changed.notify_all();
}

void PageStore::Impl::reader_loop() {
  StoreLock lock(mutex);
  while (true) {
    reads_wake.wait(lock, [&] { return stopping || !reads.empty(); });
    if (reads.empty()) return;
    const OperationPtr operation = std::move(reads.front());
    reads.pop_front();
    if (reads.empty()) writes_wake.notify_all();
    begin(operation);
    lock.unlock();
    const PageIo io = read_page_file(
        options.directory, operation->header,
        [&] {
          operation->mark_progress();
          return !operation->finished();
        },
        [&](size_t offset, std::span<const std::byte> bytes) { return operation->take(offset, bytes); });
    lock.lock();
    if (left_behind) return;
    count_read(io, operation->header.key);
    operation->answered = true;
    lock.unlock();
    operation->finish(io.result == PageIo::Result::kOk);
    lock.lock();
    end(operation);
  }
}

void PageStore::Impl::writer_loop() {
  StoreLock lock(mutex);
  while (true) {
    writes_wake.wait(lock, [&] { return stopping || !writes.empty(); });
    writes_wake.wait_for(lock, as_seconds(kReadsFirstSeconds), [&] { return stopping || reads.empty(); });
    if (writes.empty()) {
      if (stopping) return;
      continue;
    }
    const OperationPtr operation = std::move(writes.front());
    writes.pop_front();
    begin(operation);
    const Present present = unreadable.contains(operation->header.key) ? Present::kReplace : Present::kKeep;
    lock.unlock();
    const PageIo io = write_page_file(
        options.directory, operation->header, present,
        [&] {
          operation->mark_progress();
          return !operation->finished();
        },
        [&](size_t offset, std::span<std::byte> bytes) { return operation->give(offset, bytes); });
    lock.lock();
    if (left_behind) return;
    count_write(io, operation->header.key);
    operation->answered = true;
    lock.unlock();
    operation->finish(io.result == PageIo::Result::kOk);
    lock.lock();
    end(operation);
  }
}

void PageStore::Impl::count_bad(const PageIo& io) {
  ++counts.bad_pages;
  if (io.bytes > 0 && counts.pages > 0) --counts.pages;
  counts.bytes = std::max<int64_t>(0, counts.bytes - io.bytes);
  // A directory full of them would fill the log.
  if (std::has_single_bit(static_cast<uint64_t>(counts.bad_pages)))
    spdlog::warn("{}; removed ({} bad pages so far)", io.what, counts.bad_pages);
}

// One bad place on the disk costs its page, which is computed and written again; only when nothing else is
// read in between is it the directory that fails.
void PageStore::Impl::count_failed_read(const PageIo& io, const PageKey& key) {
  ++counts.read_errors;
  if (io.local) return;
  if (unreadable.size() >= kMostUnreadable) unreadable.clear();
  unreadable.insert(key);
  if (++failed_reads_in_a_row >= kFailedReadsOfADirectory) {
    health.reads_fail(io.trouble);
  } else if (std::has_single_bit(static_cast<uint64_t>(counts.read_errors))) {
    spdlog::warn("[kv] {}; the page is computed again ({} such reads so far)", io.what, counts.read_errors);
  }
}

void PageStore::Impl::count_read(const PageIo& io, const PageKey& key) {
  switch (io.result) {
    case PageIo::Result::kOk:
      failed_reads_in_a_row = 0;
      ++counts.pages_read;
      counts.bytes_read += io.bytes;
      break;
    case PageIo::Result::kMissing:
      ++counts.pages_missed;
      break;
    case PageIo::Result::kBad:
      count_bad(io);
      break;
    case PageIo::Result::kError:
      count_failed_read(io, key);
      keeper_wake.notify_one();
      break;
    case PageIo::Result::kAbandoned:
      break;
  }
}

void PageStore::Impl::count_write(const PageIo& io, const PageKey& key) {
  const bool seen = seen_while_written.erase(key) > 0;
  if (io.result == PageIo::Result::kError) {
    ++counts.write_errors;
    if (!io.local) {
      if (io.error == ENOENT)
        directory_gone();
      else
        health.writes_fail(io.trouble);
    }
    keeper_wake.notify_one();
  } else if (io.result == PageIo::Result::kOk && !io.existed) {
    unreadable.erase(key);
    if (io.replaced) {
      ++counts.bad_pages;
      --counts.pages;
      counts.bytes = std::max<int64_t>(0, counts.bytes - io.bytes);
    }
    ++counts.pages_written;
    counts.bytes_written += io.bytes;
    if (!seen || io.replaced) {
      ++counts.pages;
      counts.bytes += io.bytes;
    }
    if (sweeping) written_while_sweeping.insert(key);
    if (options.max_bytes > 0 && counts.bytes > options.max_bytes) {
      sweep_wanted = true;
      keeper_wake.notify_one();
    }
  }
}

void PageStore::Impl::watcher_loop() {
  StoreLock lock(mutex);
  while (!stopping) {
    if (in_flight.empty()) {
      watcher_wake.wait(lock, [&] { return stopping || !in_flight.empty(); });
    } else {
      const double looked = base::monotonic_seconds();
      watcher_wake.wait_for(lock, kStallLook, [&] { return stopping; });
      // When this thread stood still as well, the whole process did (SIGSTOP, a debugger), not the directory.
      if (base::monotonic_seconds() - looked > options.stall_seconds / 2) {
        for (const auto& operation : in_flight) operation->mark_progress();
      }
      give_up_stalled(lock);
    }
  }
}

void PageStore::Impl::drop_queue(std::deque<OperationPtr>& queue, std::vector<OperationPtr>& dropped) {
  for (const auto& operation : queue) {
    if (!operation->is_read) writing.erase(operation->header.key);
    ++(operation->is_read ? counts.pages_missed : counts.writes_refused);
    dropped.push_back(operation);
  }
  queue.clear();
}

void PageStore::Impl::give_up_stalled(StoreLock& lock) {
  std::vector<OperationPtr> dropped;
  const double now = base::monotonic_seconds();
  for (const auto& operation : in_flight) {
    const double limit = options.stall_seconds * (operation->is_read ? 1 : kWriteStallFactor);
    if (operation->stalled || operation->answered || now - operation->last_progress() < limit) continue;
    operation->stalled = true;
    dropped.push_back(operation);
    const std::string text = fmt::format("a {} hangs", operation->is_read ? "read" : "write");
    if (operation->is_read) {
      ++counts.read_errors;
      health.reads_fail(text);
      drop_queue(reads, dropped);
    } else {
      ++counts.write_errors;
      health.writes_fail(text);
      drop_queue(writes, dropped);
    }
  }
  if (dropped.empty()) return;
  lock.unlock();
  finish_all(dropped, false);
  lock.lock();
  keeper_wake.notify_one();
}

}  // namespace hadal::engine
