// Which GEMM serves our shapes best: ours, OpenBLAS, BLIS, oneDNN or libxsmm? All take turns in one run,
// beside the FMA peak measured between them. The libraries are looked up when the program runs (libxsmm,
// which Debian ships as an archive, when it is built); those that are not there are left out.
//   bench_gemm_libraries [--threads N] [--seconds S per shape] [--filter WORD] [--json]
#include <dlfcn.h>
#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <span>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/json.h"
#include "gemm/shapes.h"
#include "kernels/machine_limits.h"
#include "kernels/simd.h"
#ifdef HADAL_BENCH_XSMM
#include <libxsmm.h>
#endif

namespace hadal::bench {
namespace {

using Sgemm = void (*)(int order, int trans_a, int trans_b, int m, int n, int k, float alpha, const float* a,
                       int lda, const float* b, int ldb, float beta, float* c, int ldc);
using DnnlSgemm = int (*)(char trans_a, char trans_b, int64_t m, int64_t n, int64_t k, float alpha,
                          const float* a, int64_t lda, const float* b, int64_t ldb, float beta, float* c,
                          int64_t ldc);
using SetThreads = void (*)(int);
using SetThreads64 = void (*)(int64_t);

struct Contender {
  std::string name;
  // Runs all problems; false: cannot do this layout.
  std::function<bool(std::span<const kernels::Gemm>)> run;
};

// One of each operand's strides is 1; the other is its leading dimension.
struct Blas {
  bool trans_a, trans_b;
  int64_t lda, ldb;
};
Blas blas_of(const kernels::Gemm& g) {
  const bool trans_a = g.a_col != 1;
  const bool trans_b = g.b_col != 1;
  return {trans_a, trans_b, trans_a ? g.a_col : g.a_row, trans_b ? g.b_col : g.b_row};
}

void* library(const char* name) { return dlopen(name, RTLD_NOW | RTLD_LOCAL); }

void add_cblas(std::vector<Contender>& contenders, const std::string& name, void* handle) {
  const auto sgemm = reinterpret_cast<Sgemm>(dlsym(handle, "cblas_sgemm"));
  if (sgemm == nullptr) return;
  contenders.push_back({name, [sgemm](std::span<const kernels::Gemm> problems) {
                          constexpr int kRowMajor = 101;
                          constexpr int kNoTrans = 111;
                          constexpr int kTrans = 112;
                          for (const auto& g : problems) {
                            const Blas s = blas_of(g);
                            sgemm(kRowMajor, s.trans_a ? kTrans : kNoTrans, s.trans_b ? kTrans : kNoTrans,
                                  static_cast<int>(g.m), static_cast<int>(g.n), static_cast<int>(g.k), 1.0f,
                                  g.a, static_cast<int>(s.lda), g.b, static_cast<int>(s.ldb),
                                  g.accumulate ? 1.0f : 0.0f, g.c, static_cast<int>(g.c_row));
                          }
                          return true;
                        }});
}

std::vector<Contender> contenders_for(int threads, base::ThreadPool& pool) {
  std::vector<Contender> contenders;
  contenders.push_back({"hadal", [&pool](std::span<const kernels::Gemm> problems) {
                          kernels::gemm(problems, pool);
                          return true;
                        }});
  if (void* handle = library("libopenblas.so.0")) {
    if (auto set = reinterpret_cast<SetThreads>(dlsym(handle, "openblas_set_num_threads"))) set(threads);
    const auto core = reinterpret_cast<char* (*)()>(dlsym(handle, "openblas_get_corename"));
    add_cblas(contenders, fmt::format("OpenBLAS ({})", core != nullptr ? core() : "?"), handle);
  }
  if (void* handle = library("libblis.so.4")) {
    if (auto set = reinterpret_cast<SetThreads64>(dlsym(handle, "bli_thread_set_num_threads"))) set(threads);
    add_cblas(contenders, "BLIS", handle);
  }
  if (void* handle = library("libdnnl.so.2")) {
    if (auto sgemm = reinterpret_cast<DnnlSgemm>(dlsym(handle, "dnnl_sgemm"))) {
      contenders.push_back({"oneDNN", [sgemm](std::span<const kernels::Gemm> problems) {
                              for (const auto& g : problems) {
                                const Blas s = blas_of(g);
                                sgemm(s.trans_a ? 'T' : 'N', s.trans_b ? 'T' : 'N', g.m, g.n, g.k, 1.0f, g.a,
                                      s.lda, g.b, s.ldb, g.accumulate ? 1.0f : 0.0f, g.c, g.c_row);
                              }
                              return true;
                            }});
    }
  }
#ifdef HADAL_BENCH_XSMM
  // Row-major C = A B is column-major C' = B' A'. Its generator has no transposed first operand, and no
  // threads.
  if (threads == 1) {
    contenders.push_back({"libxsmm", [](std::span<const kernels::Gemm> problems) {
                            for (const auto& g : problems) {
                              if (g.a_col != 1 || g.b_col != 1) return false;
                              const auto lda = static_cast<libxsmm_blasint>(g.b_row);
                              const auto ldb = static_cast<libxsmm_blasint>(g.a_row);
                              const auto ldc = static_cast<libxsmm_blasint>(g.c_row);
                              const float alpha = 1.0f;
                              const float beta = g.accumulate ? 1.0f : 0.0f;
                              const auto kernel = libxsmm_smmdispatch(
                                  static_cast<libxsmm_blasint>(g.n), static_cast<libxsmm_blasint>(g.m),
                                  static_cast<libxsmm_blasint>(g.k), &lda, &ldb, &ldc, &alpha, &beta, nullptr,
                                  nullptr);
                              if (kernel == nullptr) return false;
                              kernel(g.b, g.a, g.c);
                            }
                            return true;
                          }});
  }
#endif
  return contenders;
}

// One thread: its processor time, which other programs on the machine disturb less. More threads: wall time.
double now(int threads) {
  timespec t{};
  clock_gettime(threads == 1 ? CLOCK_THREAD_CPUTIME_ID : CLOCK_MONOTONIC, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

struct Options {
  int threads = 1;
  double seconds = 0.5;
  std::string filter;
  bool json = false;
};

// The largest difference between two contenders' C, relative to the largest element.
double difference(const std::vector<std::vector<float>>& x, const std::vector<std::vector<float>>& y) {
  double worst = 0;
  double largest = 1e-30;
  for (size_t i = 0; i < x.size(); ++i) {
    for (size_t j = 0; j < x[i].size(); ++j) {
      worst = std::max(worst, std::abs(static_cast<double>(x[i][j]) - y[i][j]));
      largest = std::max(largest, std::abs(static_cast<double>(x[i][j])));
    }
  }
  return worst / largest;
}

int run(const Options& options) {
  base::ThreadPool pool(options.threads);
  const auto contenders = contenders_for(options.threads, pool);
  double peak = kernels::measure_fma_peak(options.threads);
  base::Json rows = base::Json::array();
  if (!options.json) {
    fmt::print("{} thread(s), {}; GFLOP/s (percent of FMA peak)\n{:<32}", options.threads,
               kernels::simd_name(), "");
    for (const auto& c : contenders) fmt::print("{:>20}", c.name);
    fmt::print("\n");
  }
  for (const Shape& shape : training_shapes()) {
    if (std::string(shape.name).find(options.filter) == std::string::npos) continue;
    Problems problems = make_problems(shape);
    std::vector<double> best(contenders.size(), 1e30);
    std::vector<bool> able(contenders.size(), true);
    std::vector<std::vector<float>> reference;
    for (size_t i = 0; i < contenders.size(); ++i) {  // warm up, and check that all compute the same
      for (auto& c : problems.c) std::fill(c.begin(), c.end(), 0.0f);
      able[i] = contenders[i].run(problems.gemms);
      if (i == 0) reference = problems.c;
      if (able[i] && difference(reference, problems.c) > 1e-5) {
        fmt::print(stderr, "{}: {} computes something else\n", shape.name, contenders[i].name);
        return 1;
      }
    }
    const double begin = base::monotonic_seconds();
    for (int round = 0; round < 5 || base::monotonic_seconds() - begin < options.seconds; ++round) {
      for (size_t i = 0; i < contenders.size(); ++i) {
        if (!able[i]) continue;
        const double start = now(options.threads);
        contenders[i].run(problems.gemms);
        best[i] = std::min(best[i], now(options.threads) - start);
      }
    }
    peak = std::max(peak, kernels::measure_fma_peak(options.threads));
    base::Json row = {
        {"shape", shape.name}, {"m", shape.m}, {"n", shape.n}, {"k", shape.k}, {"group", shape.group}};
    if (!options.json) fmt::print("{:<32}", shape.name);
    for (size_t i = 0; i < contenders.size(); ++i) {
      const double rate = able[i] ? problems.flop / best[i] * 1e-9 : 0.0;
      if (able[i]) row["gflop_per_s"][contenders[i].name] = rate;
      if (!options.json) {
        fmt::print("{:>20}", able[i] ? fmt::format("{:.1f} ({:.0f} %)", rate, 100 * rate / peak) : "-");
      }
    }
    if (!options.json) {
      fmt::print("\n");
      std::fflush(stdout);
    }
    rows.push_back(row);
  }
  if (options.json) {
    const base::Json result = {{"threads", options.threads},
                               {"simd", kernels::simd_name()},
                               {"fma_peak_gflop_per_s", peak},
                               {"clock", options.threads == 1 ? "processor time" : "wall time"},
                               {"shapes", rows}};
    fmt::print("{}\n", base::dump_json(result, 2));
  } else {
    fmt::print("FMA peak {:.1f}\n", peak);
  }
  return 0;
}

}  // namespace
}  // namespace hadal::bench

int main(int argc, char** argv) {
  hadal::bench::Options options;
  for (int i = 1; i < argc; ++i) {
    const bool value = i + 1 < argc;
    if (!std::strcmp(argv[i], "--threads") && value)
      options.threads = std::max(1, std::atoi(argv[++i]));
    else if (!std::strcmp(argv[i], "--seconds") && value)
      options.seconds = std::atof(argv[++i]);
    else if (!std::strcmp(argv[i], "--filter") && value)
      options.filter = argv[++i];
    else if (!std::strcmp(argv[i], "--json"))
      options.json = true;
    else {
      std::fprintf(stderr,
                   "usage: bench_gemm_libraries [--threads N] [--seconds S] [--filter WORD] [--json]\n");
      return 2;
    }
  }
  // oneDNN and BLIS take their number of threads from OpenMP, which reads it when it is loaded.
  setenv("OMP_NUM_THREADS", std::to_string(options.threads).c_str(), 1);
  return hadal::bench::run(options);
}
