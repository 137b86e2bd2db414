#include "text/word_counts.h"

#include <xxhash.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <exception>
#include <mutex>

#include "base/thread_pool.h"
#include "text/utf8.h"

namespace hadal::text {

namespace {

constexpr size_t kTaskBytes = 1 << 20;
constexpr size_t kShards = 16;

// An open-addressing map from words to counts; the words stay where they are.
class WordMap {
 public:
  void add(std::string_view word, uint64_t hash, int64_t count) {
    if ((used_ + 1) * 2 > slots_.size()) grow();
    Slot& slot = slots_[find(word, hash)];
    if (slot.count == 0) {
      slot = {word, hash, 0};
      ++used_;
    }
    slot.count += count;
  }

  template <typename Fn>
  void each(const Fn& fn) const {
    for (const Slot& slot : slots_) {
      if (slot.count != 0) fn(slot.word, slot.hash, slot.count);
    }
  }

  size_t size() const { return used_; }

 private:
  struct Slot {
    std::string_view word;
    uint64_t hash = 0;
    int64_t count = 0;
  };

  size_t find(std::string_view word, uint64_t hash) const {
    const size_t mask = slots_.size() - 1;
    // The shard took the high bits.
    for (size_t at = hash & mask;; at = (at + 1) & mask) {
      const Slot& slot = slots_[at];
      if (slot.count == 0 || (slot.hash == hash && slot.word == word)) return at;
    }
  }

  void grow() {
    std::vector<Slot> old(std::max<size_t>(64, slots_.size() * 2));
    old.swap(slots_);
    for (const Slot& slot : old) {
      if (slot.count != 0) slots_[find(slot.word, slot.hash)] = slot;
    }
  }

  std::vector<Slot> slots_;
  size_t used_ = 0;
};

using ShardedMap = std::array<WordMap, kShards>;

bool starts_line(std::string_view text, size_t at) {
  const char c = text[at];
  return text[at - 1] == '\n' && ((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9'));
}

std::vector<std::string_view> cut_into_tasks(std::span<const std::string_view> chunks) {
  std::vector<std::string_view> tasks;
  for (std::string_view chunk : chunks) {
    while (chunk.size() > kTaskBytes) {
      size_t at = kTaskBytes;
      while (at < chunk.size() && !starts_line(chunk, at)) ++at;
      tasks.push_back(chunk.substr(0, at));
      chunk.remove_prefix(at);
    }
    if (!chunk.empty()) tasks.push_back(chunk);
  }
  return tasks;
}

void count_task(const PreTokenizer& pre_tokenizer, std::string_view text, ShardedMap& map) {
  std::vector<std::string_view> pieces;
  while (!text.empty()) {
    const size_t valid = valid_utf8_prefix(text);
    pieces.clear();
    pre_tokenizer.split(text.substr(0, valid), pieces);
    for (const std::string_view piece : pieces) {
      const uint64_t hash = XXH3_64bits(piece.data(), piece.size());
      map[hash >> 60].add(piece, hash, 1);
    }
    text.remove_prefix(valid);
    if (!text.empty()) text.remove_prefix(static_cast<size_t>(utf8_step(text).length));
  }
}

}  // namespace

std::vector<WordCount> count_words(const PreTokenizer& pre_tokenizer,
                                   std::span<const std::string_view> chunks, int threads,
                                   const std::function<void(int64_t, int64_t)>& progress) {
  const std::vector<std::string_view> tasks = cut_into_tasks(chunks);
  int64_t total = 0;
  for (const std::string_view task : tasks) total += static_cast<int64_t>(task.size());

  base::ThreadPool pool(threads);
  std::vector<ShardedMap> maps(static_cast<size_t>(threads));
  std::atomic<int64_t> done{0};
  std::mutex mutex;
  std::exception_ptr failure;  // tasks on the pool must not throw
  const auto guarded = [&](const auto& work) {
    try {
      work();
    } catch (...) {
      const std::lock_guard lock(mutex);
      failure = std::current_exception();
    }
  };
  pool.run(static_cast<int64_t>(tasks.size()), [&](int64_t task, int worker) {
    guarded([&] {
      const std::string_view text = tasks[static_cast<size_t>(task)];
      count_task(pre_tokenizer, text, maps[static_cast<size_t>(worker)]);
      const int64_t now =
          done.fetch_add(static_cast<int64_t>(text.size())) + static_cast<int64_t>(text.size());
      if (worker == 0 && progress) progress(now, total);
    });
  });
  std::array<std::vector<WordCount>, kShards> shards;
  pool.run(kShards, [&](int64_t shard, int) {
    guarded([&] {
      const auto index = static_cast<size_t>(shard);
      WordMap merged = std::move(maps[0][index]);
      for (size_t worker = 1; worker < maps.size(); ++worker) {
        maps[worker][index].each(
            [&](std::string_view word, uint64_t hash, int64_t count) { merged.add(word, hash, count); });
        maps[worker][index] = WordMap();
      }
      shards[index].reserve(merged.size());
      merged.each([&](std::string_view word, uint64_t, int64_t count) {
        shards[index].push_back({word, count});
      });
    });
  });
  if (failure) std::rethrow_exception(failure);

  std::vector<WordCount> words;
  for (const auto& shard : shards) words.insert(words.end(), shard.begin(), shard.end());
  return words;
}

}  // namespace hadal::text
