#include "engine/kvcache/prefix_cache.h"

#include <algorithm>
#include <mutex>

#include "base/clock.h"
#include "base/error.h"

namespace hadal::engine {

namespace {

constexpr double kRefreshSeconds = 600;  // between two marks of use on disk, of a page that memory serves
constexpr double kTryAgainSeconds = 2;
constexpr size_t kTryAgainPages = 32;
constexpr size_t kMostUnwritten = 4096;  // remembered; older ones stay in memory only

}  // namespace

struct PrefixCache::Written {
  std::function<void()> wake;
  struct Result {
    PageId page;
    bool ok;
    Full full;
  };
  std::mutex mutex;
  std::vector<Result> results;
};

PrefixCache::PrefixCache(PagePool& pool, PageStore* store, std::function<void()> wake)
    : pool_(pool),
      store_(store),
      key_of_(static_cast<size_t>(pool.size()), nullptr),
      written_(std::make_shared<Written>()) {
  written_->wake = std::move(wake);
}

PrefixCache::~PrefixCache() = default;

PageId PrefixCache::find(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens) {
  const auto it = entries_.find(key);
  if (it == entries_.end()) return kNoPage;
  const PageId page = take(it->second);
  if (store_ != nullptr) {
    const double now = base::monotonic_seconds();
    if (now - it->second.stored > kRefreshSeconds) {
      it->second.stored = now;
      write(full_page(key, parent, tokens), page);
    }
  }
  return page;
}

int64_t PrefixCache::pages_in_use(const PageKey& root, std::span<const int32_t> tokens) const {
  PageKey key = root;
  int64_t pages = 0;
  for (; tokens.size() >= kPageTokens; tokens = tokens.subspan(kPageTokens), ++pages) {
    key = next_key(key, tokens.first(kPageTokens));
    const auto it = entries_.find(key);
    if (it == entries_.end() || it->second.idle != idle_.end()) break;
  }
  return pages;
}

PageId PrefixCache::take(Entry& entry) {
  if (entry.idle != idle_.end()) {
    idle_.erase(entry.idle);
    entry.idle = idle_.end();
  }
  pool_.add_reference(entry.page);
  return entry.page;
}

PageId PrefixCache::allocate() {
  if (const PageId page = pool_.allocate(); page != kNoPage) return page;
  if (idle_.empty()) return kNoPage;
  drop_oldest();
  ++evicted_total_;
  return pool_.allocate();
}

void PrefixCache::forget_idle() {
  while (!idle_.empty()) drop_oldest();
}

void PrefixCache::drop_oldest() {
  const auto it = entries_.find(idle_.front());
  const PageId page = it->second.page;
  key_of_[static_cast<size_t>(page)] = nullptr;
  idle_.pop_front();
  entries_.erase(it);
  pool_.release(page);
}

// The cache's own reference is the last one.
void PrefixCache::release(PageId page) {
  pool_.release(page);
  const PageKey* key = key_of_[static_cast<size_t>(page)];
  if (key != nullptr && pool_.references(page) == 1) rest(entries_.find(*key)->second, *key);
}

void PrefixCache::rest(Entry& entry, const PageKey& key) {
  if (entry.idle == idle_.end()) entry.idle = idle_.insert(idle_.end(), key);
}

PrefixCache::Entry& PrefixCache::add(const PageKey& key, PageId page) {
  const auto [it, added] = entries_.emplace(key, Entry{page, idle_.end()});
  HADAL_CHECK(added);
  key_of_[static_cast<size_t>(page)] = &it->first;
  pool_.add_reference(page);
  return it->second;
}

PageId PrefixCache::publish_read(const PageKey& key, PageId page) {
  if (const auto it = entries_.find(key); it != entries_.end()) {
    release(page);
    return take(it->second);
  }
  add(key, page).stored = base::monotonic_seconds();
  return page;
}

PageId PrefixCache::publish(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens,
                            PageId page) {
  const bool is_new = !entries_.contains(key);
  page = publish_read(key, page);
  if (is_new && store_ != nullptr) {
    write(full_page(key, parent, tokens), page);
  }
  return page;
}

PrefixCache::Full PrefixCache::full_page(const PageKey& key, const PageKey& parent,
                                         std::span<const int32_t> tokens) {
  Full full{key, parent, {}};
  std::copy(tokens.begin(), tokens.end(), full.tokens.begin());
  return full;
}

// A page that waits for the disk cannot make room: at most a quarter of the memory does.
void PrefixCache::write(const Full& full, PageId page) {
  if (pending_ >= std::max<int64_t>(1, pool_.size() / 4)) {
    unwritten_.push_back(full);
    return;
  }
  ++pending_;
  pool_.add_reference(page);  // until it is written
  const std::span<const std::byte> bytes(pool_.data(page), static_cast<size_t>(pool_.page_bytes()));
  store_->write(full.key, full.parent, full.tokens, bytes, [written = written_, page, full](bool ok) {
    {
      const std::lock_guard lock(written->mutex);
      written->results.push_back({page, ok, full});
    }
    written->wake();
  });
}

void PrefixCache::write_again() {
  const double now = base::monotonic_seconds();
  if (unwritten_.empty() || now - tried_again_ < kTryAgainSeconds) return;
  tried_again_ = now;
  if (!store_->status().available) return;
  for (size_t count = std::min(unwritten_.size(), kTryAgainPages); count > 0; --count) {
    const Full full = unwritten_.front();
    unwritten_.pop_front();
    if (const auto it = entries_.find(full.key); it != entries_.end()) {  // it may have left the memory
      const PageId page = take(it->second);
      write(full, page);
      release(page);
    }
  }
}

std::shared_ptr<PrefixCache::Read> PrefixCache::read(const PageKey& key, const PageKey& parent,
                                                     std::span<const int32_t> tokens) {
  if (store_ == nullptr) return nullptr;
  const PageId page = allocate();
  if (page == kNoPage) return nullptr;
  auto read = std::make_shared<Read>();
  read->page = page;
  const std::span<std::byte> bytes(pool_.data(page), static_cast<size_t>(pool_.page_bytes()));
  store_->read(key, parent, tokens, bytes, [read, written = written_](bool ok) {
    read->state.store(ok ? 1 : 2, std::memory_order_release);
    written->wake();
  });
  return read;
}

void PrefixCache::abandon(std::shared_ptr<Read> read) {
  if (read->state.load(std::memory_order_acquire) != 0)
    release(read->page);
  else
    abandoned_.push_back(std::move(read));
}

void PrefixCache::collect() {
  std::vector<Written::Result> results;
  {
    const std::lock_guard lock(written_->mutex);
    results.swap(written_->results);
  }
  for (const auto& result : results) {
    --pending_;
    release(result.page);
    if (!result.ok) unwritten_.push_back(result.full);
  }
  while (unwritten_.size() > kMostUnwritten) unwritten_.pop_front();
  write_again();
  std::erase_if(abandoned_, [&](const auto& read) {
    if (read->state.load(std::memory_order_acquire) == 0) return false;
    release(read->page);
    return true;
  });
}

}  // namespace hadal::engine
