// Tier 1 of the prefix cache: pages in memory by their key, shared by every sequence with that prefix, and
// the way of full pages to tier 2. A page that no sequence uses stays until room is needed; the least
// recently used leaves first. Not thread-safe: the engine's thread owns it.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <span>
#include <unordered_map>
#include <vector>

#include "engine/kvcache/page_key.h"
#include "engine/kvcache/page_pool.h"
#include "engine/kvcache/page_store.h"

namespace hadal::engine {

class PrefixCache {
 public:
  // store: tier 2, or null. `wake` is called on a thread of the store when something has finished there.
  // Pool and store outlive the cache.
  PrefixCache(PagePool& pool, PageStore* store, std::function<void()> wake);
  ~PrefixCache();

  PagePool& pool() const { return pool_; }

  // The page under this key with a reference for the caller, or kNoPage. Tier 2 hears now and then that it is
  // in use, and gets it again if it has lost it.
  PageId find(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens);
  // How many of the sequence's first pages are here and used by someone: pages that it will not need anew.
  int64_t pages_in_use(const PageKey& root, std::span<const int32_t> tokens) const;

  // An empty page with one reference; makes room by dropping an unused one. kNoPage: all are in use.
  PageId allocate();
  void release(PageId page);
  void forget_idle();  // drops every page that no sequence uses

  // A full page that the caller has computed, with its reference: it can be found from now on, and goes to
  // tier 2. When the cache has one of this key already, that one (equal bit for bit) takes the page's place.
  // Returns the page that the caller now has a reference of.
  PageId publish(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens, PageId page);
  // The same for a page that was read from tier 2.
  PageId publish_read(const PageKey& key, PageId page);

  // A page on its way from tier 2. `page` is the reader's, to be filled; looked at by the engine's thread.
  struct Read {
    PageId page = kNoPage;
    std::atomic<int> state{0};  // 0: on its way, 1: here, 2: not there
  };
  // Asks tier 2 for a page; null when there is no tier 2, or no memory.
  std::shared_ptr<Read> read(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens);
  // The page is no longer wanted: it is freed once the store is done with it.
  void abandon(std::shared_ptr<Read> read);

  // Lets go of pages that the store is done with, and tries those again that it could not write, as long as
  // they are in memory. Once a step.
  void collect();

  int64_t available() const { return pool_.free_pages() + static_cast<int64_t>(idle_.size()); }
  bool has_unwritten() const { return !unwritten_.empty(); }
  int64_t idle_pages() const { return static_cast<int64_t>(idle_.size()); }
  uint64_t evicted_total() const { return evicted_total_; }

 private:
  struct Entry {
    PageId page = kNoPage;
    std::list<PageKey>::iterator idle;  // place in idle_, or its end
    double stored = 0;                  // when tier 2 last heard of it, base::monotonic_seconds()
  };
  struct Written;  // what the store has done, shared with its threads
  struct Full {    // what a page's writing needs besides its bytes
    PageKey key, parent;
    std::array<int32_t, kPageTokens> tokens;
  };

  static Full full_page(const PageKey& key, const PageKey& parent, std::span<const int32_t> tokens);
  PageId take(Entry& entry);
  Entry& add(const PageKey& key, PageId page);
  void write(const Full& full, PageId page);
  void write_again();
  void drop_oldest();
  void rest(Entry& entry, const PageKey& key);  // nobody uses the page now

  PagePool& pool_;
  PageStore* store_;
  std::unordered_map<PageKey, Entry, PageKeyHash> entries_;
  std::vector<const PageKey*> key_of_;  // [pool size], null: not in the cache
  std::list<PageKey> idle_;             // least recently used first
  std::shared_ptr<Written> written_;
  std::vector<std::shared_ptr<Read>> abandoned_;
  std::deque<Full> unwritten_;  // refused or failed
  double tried_again_ = 0;      // base::monotonic_seconds()
  int64_t pending_ = 0;         // writes
  uint64_t evicted_total_ = 0;
};

}  // namespace hadal::engine
