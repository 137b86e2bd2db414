#include "base/thread_pool.h"

#include <sched.h>

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <exception>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/error.h"

namespace hadal::base {

namespace {

// A worker without work looks again for this long before it sleeps: the gap between two compute loops is some
// tens of microseconds, and waking a sleeper costs as much. An idle engine sleeps.
constexpr auto kSpinTime = std::chrono::microseconds(100);
constexpr int kPausesPerLook = 32;

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#else
  std::this_thread::yield();
#endif
}

}  // namespace

// A job is open while its tasks are handed out. Whoever takes tasks first counts itself in `inside`, then
// looks at `open`; the caller closes the job first and then waits for `inside` to be zero (both sequentially
// consistent, so one of the two sees the other). A worker that wakes late finds the job closed and never
// touches it: nobody waits for it.
struct ThreadPool::State {
  int size = 1;
  std::vector<std::thread> threads;

  // The job: written by the caller while it is closed and nobody is inside.
  Callback callback = nullptr;
  void* context = nullptr;
  int64_t tasks = 0;

  alignas(64) std::atomic<int64_t> next{0};
  alignas(64) std::atomic<int> inside{0};
  alignas(64) std::atomic<bool> open{false};
  std::atomic<uint64_t> jobs{0};  // changes with every job, and once more to stop
  std::atomic<int> sleepers{0};
  std::atomic<bool> stop{false};
  std::mutex mutex;
  std::condition_variable wake;
  std::exception_ptr failure;  // the job's first; under the mutex until the job is over

  void take_tasks(int worker) {
    try {
      for (int64_t task; (task = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
        callback(context, task, worker);
      }
    } catch (...) {
      next.store(tasks);  // nobody begins another task
      std::lock_guard lock(mutex);
      if (!failure) failure = std::current_exception();
    }
  }

  void wait_for_job(uint64_t seen) {
    const auto until = std::chrono::steady_clock::now() + kSpinTime;
    do {
      for (int i = 0; i < kPausesPerLook; ++i) {
        if (jobs.load(std::memory_order_acquire) != seen) return;
        relax();
      }
      std::this_thread::yield();  // the processor may be the one that the caller waits for
    } while (std::chrono::steady_clock::now() < until);
    std::unique_lock lock(mutex);
    sleepers.fetch_add(1);
    wake.wait(lock, [&] { return jobs.load() != seen; });
    sleepers.fetch_sub(1);
  }

  void worker_loop(int worker) {
    uint64_t seen = 0;
    while (true) {
      wait_for_job(seen);
      seen = jobs.load();
      if (stop.load()) return;
      inside.fetch_add(1);
      if (open.load()) take_tasks(worker);
      inside.fetch_sub(1);
    }
  }

  // A worker that counted itself as a sleeper before this change sees the change or is seen here.
  void announce() {
    jobs.fetch_add(1);
    if (sleepers.load() == 0) return;
    { std::lock_guard lock(mutex); }
    wake.notify_all();
  }

  void finish() {
    stop.store(true);
    announce();
    for (auto& thread : threads) thread.join();
    threads.clear();
  }
};

ThreadPool::ThreadPool(int threads) : state_(std::make_unique<State>()) {
  HADAL_CHECK(threads >= 1);
  state_->size = threads;
  state_->threads.reserve(static_cast<size_t>(threads));
  try {
    for (int worker = 1; worker < threads; ++worker) {
      state_->threads.emplace_back([state = state_.get(), worker] { state->worker_loop(worker); });
    }
  } catch (const std::system_error& e) {
    const size_t started = state_->threads.size() + 1;
    state_->finish();
    throw_error(ErrorCode::kResource,
                "[threads] {} threads: the system gave {} ({}); use fewer --threads or raise ulimit -u",
                threads, started, e.what());
  }
}

ThreadPool::~ThreadPool() { state_->finish(); }

int ThreadPool::size() const { return state_->size; }

void ThreadPool::run_raw(int64_t tasks, Callback callback, void* context) {
  if (state_->size == 1 || tasks <= 1) {
    for (int64_t task = 0; task < tasks; ++task) callback(context, task, 0);
    return;
  }
  state_->callback = callback;
  state_->context = context;
  state_->tasks = tasks;
  state_->next.store(0);
  state_->open.store(true);
  state_->announce();
  state_->take_tasks(0);
  state_->open.store(false);
  for (int spins = 0; state_->inside.load() != 0; ++spins) {
    if (spins < kPausesPerLook)
      relax();
    else
      std::this_thread::yield();
  }
  if (state_->failure) std::rethrow_exception(std::exchange(state_->failure, nullptr));
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
