#include "base/thread_pool.h"

#include <gtest/gtest.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"

namespace hadal::base {
namespace {

// Address space for a few stacks only: the system refuses in the middle, and the threads that run must end.
TEST(ThreadPoolTest, TooManyThreadsAreAnError) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  GTEST_SKIP() << "the sanitizers need the address space";
#endif
  const auto in_a_small_process = [] {
    const rlimit limit{1u << 28, 1u << 28};
    if (::setrlimit(RLIMIT_AS, &limit) != 0) ::_exit(10);
    try {
      const ThreadPool pool(1024);
    } catch (const Error& e) {
      ::_exit(e.code() == ErrorCode::kResource ? 0 : 11);
    }
    ::_exit(12);
  };
  EXPECT_EXIT(in_a_small_process(), testing::ExitedWithCode(0), "");
}

TEST(ThreadPoolTest, EveryTaskRunsOnce) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    EXPECT_EQ(pool.size(), threads);
    for (const int64_t tasks : {0, 1, 2, 3, 100, 5000}) {
      std::vector<int> runs(static_cast<size_t>(tasks), 0);
      pool.run(tasks, [&](int64_t task, int worker) {
        ASSERT_GE(worker, 0);
        ASSERT_LT(worker, threads);
        ++runs[static_cast<size_t>(
            task)];  // a data race if a task ran twice: the thread sanitizer would see it
      });
      for (const int count : runs) ASSERT_EQ(count, 1);
    }
  }
}

// Many short jobs back to back: late workers must not touch a job that has ended.
TEST(ThreadPoolTest, ShortJobsOneAfterAnother) {
  ThreadPool pool(4);
  int64_t total = 0;
  for (int job = 0; job < 20000; ++job) {
    std::vector<int64_t> parts(3, 0);  // freed at once: a late task would write into freed memory
    pool.run(3, [&](int64_t task, int) { parts[static_cast<size_t>(task)] = task + job; });
    total += parts[0] + parts[1] + parts[2];
  }
  EXPECT_EQ(total, int64_t{20000} * 3 + 3 * (int64_t{20000} * 19999 / 2));
}

TEST(ThreadPoolTest, WorksAfterItsThreadsWentToSleep) {
  ThreadPool pool(3);
  for (int round = 0; round < 20; ++round) {
    std::this_thread::sleep_for(std::chrono::milliseconds(round % 4));
    std::atomic<int> runs{0};
    pool.run(64, [&](int64_t, int) { runs.fetch_add(1); });
    ASSERT_EQ(runs.load(), 64);
  }
}

TEST(ThreadPoolTest, ResultsWrittenByWorkersAreSeenByTheCaller) {
  ThreadPool pool(4);
  std::vector<double> values(1000);
  for (int round = 0; round < 200; ++round) {
    parallel_for(pool, 1000, 7, [&](int64_t begin, int64_t end) {
      for (int64_t i = begin; i < end; ++i) values[static_cast<size_t>(i)] = static_cast<double>(i + round);
    });
    for (size_t i = 0; i < values.size(); ++i) ASSERT_EQ(values[i], static_cast<double>(i) + round);
  }
}

// Memory that runs out in a task must not end the process: the caller hears of it, and the pool goes on.
TEST(ThreadPoolTest, AnExceptionOfATaskReachesTheCaller) {
  for (const int threads : {1, 2, 5}) {
    ThreadPool pool(threads);
    for (int round = 0; round < 200; ++round) {
      const int64_t bad = round % 64;
      std::vector<std::atomic<int>> runs(64);
      EXPECT_THROW(pool.run(64,
                            [&](int64_t task, int) {
                              runs[static_cast<size_t>(task)].fetch_add(1);
                              if (task == bad) throw std::bad_alloc();
                            }),
                   std::bad_alloc);
      EXPECT_EQ(runs[static_cast<size_t>(bad)].load(), 1);
      for (const std::atomic<int>& count : runs) EXPECT_LE(count.load(), 1);
      std::atomic<int> after{0};
      EXPECT_NO_THROW(pool.run(64, [&](int64_t, int) { after.fetch_add(1); }));
      ASSERT_EQ(after.load(), 64);
    }
  }
}

TEST(ThreadPoolTest, OfManyExceptionsOneIsThrown) {
  ThreadPool pool(4);
  for (int round = 0; round < 200; ++round) {
    std::atomic<int> thrown{0};
    try {
      pool.run(100, [&](int64_t task, int) {
        thrown.fetch_add(1);
        throw_error(ErrorCode::kResource, "task {}", task);
      });
      FAIL() << "nothing was thrown";
    } catch (const Error& e) {
      EXPECT_EQ(e.code(), ErrorCode::kResource);
      EXPECT_EQ(std::string(e.what()).substr(0, 5), "task ");
    }
    EXPECT_GE(thrown.load(), 1);
    EXPECT_LE(thrown.load(), 4);  // a thread that threw takes no other task
  }
}

// The tasks that run when another one throws are waited for: they may write into the caller's memory.
TEST(ThreadPoolTest, RunningTasksEndBeforeAnExceptionIsThrown) {
  ThreadPool pool(2);
  for (int round = 0; round < 20; ++round) {
    std::atomic<bool> began{false};
    std::atomic<bool> ended{false};
    EXPECT_THROW(pool.run(2,
                          [&](int64_t task, int) {
                            if (task == 0) {
                              began.store(true);
                              std::this_thread::sleep_for(std::chrono::milliseconds(2));
                              ended.store(true);
                            } else {
                              throw std::bad_alloc();
                            }
                          }),
                 std::bad_alloc);
    EXPECT_EQ(began.load(), ended.load());
  }
}

TEST(ThreadPoolTest, AnIdlePoolUsesNoProcessor) {
  const auto cpu_seconds = [] {
    timespec t{};
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
  };
  ThreadPool pool(4);
  pool.run(8, [](int64_t, int) {});
  std::this_thread::sleep_for(std::chrono::milliseconds(50));
  const double before = cpu_seconds();
  std::this_thread::sleep_for(std::chrono::milliseconds(200));
  EXPECT_LT(cpu_seconds() - before, 0.02);
}

}  // namespace
}  // namespace hadal::base
