// The thread that looks after a store's directory: is it there, does it work, is it too full. It may hang
// with the directory; nothing waits for it.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "engine/kvcache/page_store_internal.h"
#include "engine/kvcache/page_sweep.h"

namespace hadal::engine {
namespace {

constexpr double kSweepEverySeconds = 600;  // others write, too: what is known is counted anew
constexpr double kSweepAgainSeconds = 1;    // at the earliest, however far over budget
constexpr double kLookEverySeconds = 2;     // whether the directory is still there

}  // namespace

bool PageStore::Impl::directory_is_there() const {
  struct stat info {};
  if (::stat(options.directory.c_str(), &info) == 0) return S_ISDIR(info.st_mode);
  return errno != ENOENT && errno != ENOTDIR;
}

void PageStore::Impl::directory_gone() {
  health.writes_fail("the directory is gone");
  counts.pages = counts.bytes = 0;
  sweep_wanted = true;
}

void PageStore::Impl::keeper_loop() {
  StoreLock lock(mutex);
  probe(lock);
  double swept = -1e9;
  while (!stopping) {
    const double now = base::monotonic_seconds();
    if (now >= health.next_probe()) {
      probe(lock);
    } else if (health.reads_work() &&
               now - swept >= (sweep_wanted ? kSweepAgainSeconds : kSweepEverySeconds)) {
      sweep(lock);
      swept = base::monotonic_seconds();
    } else {
      lock.unlock();
      const bool there = directory_is_there();
      lock.lock();
      if (left_behind) return;
      if (!there && health.writes_work()) directory_gone();
      const double wait = std::min({kLookEverySeconds, health.next_probe() - now,
                                    sweep_wanted ? swept + kSweepAgainSeconds - now : kLookEverySeconds});
      if (!stopping && wait > 0) keeper_wake.wait_for(lock, as_seconds(wait));
    }
  }
}

void PageStore::Impl::probe(StoreLock& lock) {
  lock.unlock();
  const PageIo reading = probe_reading(options.directory);
  const PageIo writing_io = probe_writing(options.directory, payload_bytes);
  lock.lock();
  if (left_behind) return;
  probed = true;
  const auto hangs = [&](bool is_read) {
    return std::ranges::any_of(in_flight,
                               [&](const OperationPtr& o) { return o->stalled && o->is_read == is_read; });
  };
  if (reading.result != PageIo::Result::kOk)
    health.reads_fail(reading.trouble);
  else if (hangs(true))
    health.reads_fail("a read hangs");
  else if (!health.reads_work()) {
    health.reads_recover();
    sweep_wanted = true;
  }
  if (writing_io.result != PageIo::Result::kOk)
    health.writes_fail(writing_io.trouble);
  else if (hangs(false))
    health.writes_fail("a write hangs");
  else
    health.writes_recover();
  changed.notify_all();
}

void PageStore::Impl::sweep(StoreLock& lock) {
  sweep_wanted = false;
  sweeping = true;
  written_while_sweeping.clear();
  lock.unlock();
  const SweepResult result = sweep_pages(options.directory, {options.max_bytes, options.ttl_seconds, [this] {
                                                               StoreLock asking(mutex);
                                                               return stopping;
                                                             }});
  lock.lock();
  if (left_behind) return;
  sweeping = false;
  counts.evicted_by_age += result.evicted_by_age;
  counts.evicted_by_size += result.evicted_by_size;
  if (!result.complete) return;
  for (const PageKey& key : result.pages) written_while_sweeping.erase(key);
  // A page that was seen and whose write is not counted yet is in these counts already.
  seen_while_written.clear();
  for (const PageKey& key : result.pages) {
    const auto write = writing.find(key);
    if (write != writing.end() && !write->second->answered) seen_while_written.insert(key);
  }
  const auto unseen = static_cast<int64_t>(written_while_sweeping.size());
  counts.pages = static_cast<int64_t>(result.pages.size()) + unseen;
  counts.bytes = result.bytes + unseen * (static_cast<int64_t>(kPageHeaderBytes) + payload_bytes);
  changed.notify_all();
}

}  // namespace hadal::engine
