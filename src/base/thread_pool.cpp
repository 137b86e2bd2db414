#include "base/thread_pool.h"

#include <sched.h>

#include <atomic>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <vector>

#include "base/error.h"

namespace hadal::base {

namespace {
// Spins this often before it sleeps: the gap between two compute loops is a few microseconds.
constexpr int kSpins = 2000;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}
}  // namespace

struct ThreadPool::State {
  int size = 1;
  std::vector<std::thread> threads;

  Callback callback = nullptr;
  void* context = nullptr;
  int64_t tasks = 0;
  std::atomic<int64_t> next{0};
  std::atomic<uint64_t> generation{0};
  std::atomic<int> working{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;

  void take_tasks(int worker) {
    for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      callback(context, task, worker);
    }
  }

  void worker_loop(int worker) {
    uint64_t seen = 0;
    while (true) {
      int spins = 0;
      while (generation.load(std::memory_order_acquire) == seen && spins < kSpins) {
        ++spins;
        relax();
      }
      if (generation.load(std::memory_order_acquire) == seen) {
        std::unique_lock lock(mutex);
        wake.wait(lock, [&] { return generation.load(std::memory_order_acquire) != seen; });
      }
      seen = generation.load(std::memory_order_acquire);
      if (stop.load(std::memory_order_acquire)) return;
      take_tasks(worker);
      working.fetch_sub(1, std::memory_order_release);
    }
  }

  void start_generation() {
    {
      std::lock_guard lock(mutex);
      generation.fetch_add(1, std::memory_order_release);
    }
    wake.notify_all();
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  HADAL_CHECK(threads >= 1);
  state_->size = threads;
  for (int worker = 1; worker < threads; ++worker) {
    state_->threads.emplace_back([this, worker] { state_->worker_loop(worker); });
  }
}

ThreadPool::~ThreadPool() {
  state_->stop.store(true, std::memory_order_release);
  state_->start_generation();
  for (auto& thread : state_->threads) thread.join();
}

int ThreadPool::size() const { return state_->size; }

void ThreadPool::run_raw(int64_t tasks, Callback callback, void* context) {
  if (state_->size == 1 || tasks <= 1) {
    for (int64_t task = 0; task < tasks; ++task) callback(context, task, 0);
    return;
  }
  state_->callback = callback;
  state_->context = context;
  state_->tasks = tasks;
  state_->next.store(0, std::memory_order_relaxed);
  state_->working.store(state_->size - 1, std::memory_order_relaxed);
  state_->start_generation();
  state_->take_tasks(0);
  int spins = 0;
  while (state_->working.load(std::memory_order_acquire) != 0) {
    if (++spins < kSpins) relax();
    else std::this_thread::yield();
  }
}

int default_thread_count() {
  cpu_set_t set;
  CPU_ZERO(&set);
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    const int count = CPU_COUNT(&set);
    if (count > 0) return count;
  }
  const unsigned hardware = std::thread::hardware_concurrency();
  return hardware > 0 ? static_cast<int>(hardware) : 1;
}

}  // namespace hadal::base
