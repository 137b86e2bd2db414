// A fixed set of threads for compute loops. run() hands out task numbers; which thread takes a task must not
// change its result (tasks write disjoint memory), so results do not depend on scheduling. Idle threads look
// for work for a moment, then sleep.
#pragma once

#include <cstdint>
#include <memory>
#include <type_traits>

namespace hadal::base {

class ThreadPool {
 public:
  // threads >= 1, the calling thread included.
  explicit ThreadPool(int threads);
  ~ThreadPool();
  ThreadPool(const ThreadPool&) = delete;
  ThreadPool& operator=(const ThreadPool&) = delete;

  int size() const;

  // Calls fn(task, worker) once for every task in [0, tasks), worker in [0, size()), and returns when all are
  // done. One caller at a time; fn must not call run() on the same pool.
  // When fn throws, tasks that have not begun are skipped, those that run are waited for, and the exception
  // that came first is thrown here again. The pool stays usable; what the tasks wrote is then incomplete.
  template <typename Fn>
  void run(int64_t tasks, Fn&& fn) {
    using Plain = std::remove_reference_t<Fn>;
    run_raw(
        tasks, [](void* context, int64_t task, int worker) { (*static_cast<Plain*>(context))(task, worker); },
        const_cast<void*>(static_cast<const void*>(&fn)));
  }

 private:
  using Callback = void (*)(void* context, int64_t task, int worker);
  void run_raw(int64_t tasks, Callback callback, void* context);

  struct State;
  std::unique_ptr<State> state_;
};

// Threads that a command uses unless told otherwise: the processors this process may run on.
int default_thread_count();
// What a --threads flag asks for: 0 means default_thread_count().
inline int thread_count(int asked) { return asked > 0 ? asked : default_thread_count(); }

// Splits [0, n) into at most one contiguous range per chunk of `grain` and runs fn(begin, end).
template <typename Fn>
void parallel_for(ThreadPool& pool, int64_t n, int64_t grain, Fn&& fn) {
  const int64_t tasks = (n + grain - 1) / grain;
  pool.run(tasks, [&](int64_t task, int) {
    const int64_t begin = task * grain;
    fn(begin, begin + grain < n ? begin + grain : n);
  });
}

}  // namespace hadal::base
