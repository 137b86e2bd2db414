#include "engine/kvcache/page_store.h"

#include <algorithm>
#include <iterator>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "engine/kvcache/page_store_internal.h"

namespace hadal::engine {
namespace {

constexpr double kFirstProbeSeconds = 1;     // how long a new store waits for its directory
constexpr double kFinishWritesSeconds = 5;   // at the end
constexpr double kFinishThreadsSeconds = 1;  // after that; a thread that hangs is left behind

}  // namespace

PageHeader PageStore::Impl::header_of(const PageKey& key, const PageKey& parent,
                                      std::span<const int32_t> tokens) const {
  HADAL_CHECK(next_key(parent, tokens) == key);
  PageHeader header;
  header.fingerprint = fingerprint;
  header.parent = parent;
  header.key = key;
  std::ranges::copy(tokens, header.tokens.begin());
  header.payload_bytes = payload_bytes;
  header.description = description;
  return header;
}

void PageStore::Impl::submit_read(const OperationPtr& operation) {
  {
    StoreLock lock(mutex);
    if (!stopping && health.reads_work()) {
      reads.push_back(operation);
      reads_wake.notify_one();
      return;
    }
    ++counts.pages_missed;
  }
  operation->finish(false);
}

void PageStore::Impl::submit_write(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens,
                                   std::span<const std::byte> payload, std::function<void(bool)> done) {
  PageHeader header = header_of(key, parent, tokens);
  {
    StoreLock lock(mutex);
    const auto same = writing.find(key);
    if (same != writing.end() && same->second->join(done)) return;
    if (!stopping && health.writes_work() && pending(false) < max_pending_writes) {
      const auto operation = std::make_shared<PageOperation>(std::move(header), payload, std::move(done));
      writing[key] = operation;
      writes.push_back(operation);
      writes_wake.notify_one();
      return;
    }
    ++counts.writes_refused;
  }
  done(false);
}

int64_t PageStore::Impl::pending(bool is_read) const {
  const auto begun = std::ranges::count_if(
      in_flight, [&](const OperationPtr& o) { return o->is_read == is_read && !o->stalled && !o->answered; });
  return static_cast<int64_t>(is_read ? reads.size() : writes.size()) + begun;
}

PageStoreStatus PageStore::Impl::status() const {
  StoreLock lock(mutex);
  PageStoreStatus status = counts;
  status.available = probed && health.well();
  status.trouble = health.trouble();
  status.pending_reads = pending(true);
  status.pending_writes = pending(false);
  return status;
}

void PageStore::Impl::add_thread(void (Impl::*loop)()) {
  auto worker = std::make_unique<Worker>();
  Worker* const own = worker.get();
  own->thread = std::thread([self = shared_from_this(), loop, own] {
    (self.get()->*loop)();
    StoreLock lock(self->mutex);
    own->ended = true;
    self->changed.notify_all();
  });
  workers.push_back(std::move(worker));
}

void PageStore::Impl::start() {
  const int readers = std::max(1, options.io_threads);
  for (int i = 0; i < readers; ++i) add_thread(&Impl::reader_loop);
  // They wait for syncs most of the time, and a file system commits what is synced at once together.
  for (int i = 0; i < 2 * readers; ++i) add_thread(&Impl::writer_loop);
  add_thread(&Impl::watcher_loop);
  add_thread(&Impl::keeper_loop);
  StoreLock lock(mutex);
  changed.wait_for(lock, as_seconds(kFirstProbeSeconds), [&] { return probed; });
}

void PageStore::Impl::stop() {
  std::vector<OperationPtr> dropped;
  StoreLock lock(mutex);
  stopping = true;
  drop_queue(reads, dropped);
  std::ranges::copy_if(in_flight, std::back_inserter(dropped),
                       [](const auto& o) { return o->is_read && !o->answered; });
  for (auto* wake : {&reads_wake, &writes_wake, &keeper_wake, &watcher_wake}) wake->notify_all();
  lock.unlock();
  finish_all(dropped, false);
  dropped.clear();
  lock.lock();
  changed.wait_for(lock, as_seconds(kFinishWritesSeconds), [&] { return pending(false) == 0; });
  drop_queue(writes, dropped);
  // Who has an answer gives it: a page that was written is not to be told as one that was not.
  std::ranges::copy_if(in_flight, std::back_inserter(dropped), [](const auto& o) { return !o->answered; });
  writes_wake.notify_all();
  lock.unlock();
  finish_all(dropped, false);
  lock.lock();
  const auto ended = [](const auto& worker) { return worker->ended; };
  changed.wait_for(lock, as_seconds(kFinishThreadsSeconds),
                   [&] { return std::ranges::all_of(workers, ended); });
  left_behind = true;
  for (const auto& worker : workers) {
    if (!worker->ended) worker->thread.detach();
  }
  lock.unlock();
  for (const auto& worker : workers) {
    if (worker->thread.joinable()) worker->thread.join();
  }
}

PageStore::PageStore(const PageStoreOptions& options, const Fingerprint& fingerprint, int64_t payload_bytes,
                     std::string describe) {
  HADAL_CHECK(payload_bytes >= 1 && !options.directory.empty());
  impl_ = std::make_shared<Impl>(options, fingerprint, payload_bytes, std::move(describe));
  try {
    impl_->start();
  } catch (const std::system_error& e) {
    impl_->stop();
    throw_error(ErrorCode::kResource, "[kv] no threads for the page store ({}); raise ulimit -u", e.what());
  }
}

PageStore::~PageStore() { impl_->stop(); }

void PageStore::read(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens,
                     std::span<std::byte> to, std::function<void(bool ok)> done) {
  HADAL_CHECK(to.size() == static_cast<size_t>(impl_->payload_bytes));
  impl_->submit_read(
      std::make_shared<PageOperation>(impl_->header_of(key, parent, tokens), to, std::move(done)));
}

void PageStore::write(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens,
                      std::span<const std::byte> payload, std::function<void(bool ok)> done) {
  HADAL_CHECK(payload.size() == static_cast<size_t>(impl_->payload_bytes));
  impl_->submit_write(key, parent, tokens, payload, std::move(done));
}

PageStoreStatus PageStore::status() const { return impl_->status(); }

}  // namespace hadal::engine
