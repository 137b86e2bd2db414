// Own thread pool or OpenMP? The cost of an empty parallel loop, and whole groups of experts spread over the
// threads by each, in turns.
//   bench_gemm_threads [--threads N]
#include <fmt/format.h>
#include <omp.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "gemm/shapes.h"
#include "kernels/gemm.h"

namespace hadal::bench {
namespace {

constexpr int kRounds = 300;

struct Pair {
  std::vector<double> pool, openmp;
};

template <typename Pool, typename OpenMp>
Pair in_turns(int rounds, double pause_ms, const Pool& with_pool, const OpenMp& with_openmp) {
  Pair times;
  const auto timed = [&](const auto& body) {
    if (pause_ms > 0) std::this_thread::sleep_for(std::chrono::duration<double, std::milli>(pause_ms));
    const double begin = base::monotonic_seconds();
    body();
    return base::monotonic_seconds() - begin;
  };
  // In blocks with a rest between: each side's idle threads spin for a while and would disturb the other.
  constexpr int kBlocks = 6;
  const auto block = [&](std::vector<double>& into, const auto& body) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
    for (int round = 0; round < (rounds + kBlocks - 1) / kBlocks; ++round) into.push_back(timed(body));
  };
  for (int i = 0; i < kBlocks; ++i) {
    block(times.pool, with_pool);
    block(times.openmp, with_openmp);
  }
  std::sort(times.pool.begin(), times.pool.end());
  std::sort(times.openmp.begin(), times.openmp.end());
  return times;
}

void print(const char* what, const Pair& times) {
  const auto at = [](const std::vector<double>& t, double q) {
    return 1e6 * t[static_cast<size_t>(q * static_cast<double>(t.size() - 1))];
  };
  fmt::print("{:<44}{:>12.1f}{:>12.1f}{:>14.1f}{:>12.1f}\n", what, at(times.pool, 0.1), at(times.pool, 0.5),
             at(times.openmp, 0.1), at(times.openmp, 0.5));
}

void run(int threads) {
  base::ThreadPool pool(threads);
  omp_set_num_threads(threads);
  fmt::print("{} threads; microseconds\n{:<44}{:>12}{:>12}{:>14}{:>12}\n", threads, "", "pool p10",
             "pool p50", "OpenMP p10", "OpenMP p50");
  std::vector<int64_t> sink(64 * 16);
  const auto touch = [&](int64_t task) { sink[static_cast<size_t>(task % 64) * 16] += task; };
  const auto pool_loop = [&] { pool.run(64, [&](int64_t task, int) { touch(task); }); };
  const auto openmp_loop = [&] {
#pragma omp parallel for schedule(dynamic, 1)
    for (int64_t task = 0; task < 64; ++task) touch(task);
  };
  print("64 empty tasks, back to back", in_turns(kRounds * 10, 0, pool_loop, openmp_loop));
  print("64 empty tasks, 1 ms after the last", in_turns(kRounds, 1, pool_loop, openmp_loop));
  for (const Shape& shape : training_shapes()) {
    if (shape.group == 1) continue;
    const Problems problems = make_problems(shape);
    const auto& gemms = problems.gemms;
    print(shape.name, in_turns(
                          60, 0,
                          [&] {
                            pool.run(static_cast<int64_t>(gemms.size()),
                                     [&](int64_t i, int) { kernels::gemm(gemms[static_cast<size_t>(i)]); });
                          },
                          [&] {
#pragma omp parallel for schedule(dynamic, 1)
                            for (size_t i = 0; i < gemms.size(); ++i) kernels::gemm(gemms[i]);
                          }));
  }
}

}  // namespace
}  // namespace hadal::bench

int main(int argc, char** argv) {
  int threads = hadal::base::default_thread_count();
  if (argc == 3 && !std::strcmp(argv[1], "--threads")) threads = std::max(1, std::atoi(argv[2]));
  hadal::bench::run(threads);
}
