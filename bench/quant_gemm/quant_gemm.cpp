// How near are products with stored weights to what this machine can do? One token (decode) is measured in
// GB/s of weights beside the bandwidth of reading, an expert's and a prefill's batch in 8-bit GOP/s beside
// the peak of the 8-bit instruction, both limits taken between the measurements of the same run.
//   bench_quant_gemm [--threads N] [--seconds S per point] [--filter FORMAT] [--json]
#include "kernels/quant_gemm.h"

#include <fmt/format.h>
#include <time.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <string>

#include "base/clock.h"
#include "base/json.h"
#include "base/random.h"
#include "kernels/machine_limits.h"
#include "kernels/quant_int8.h"
#include "kernels/quant_problem.h"
#include "kernels/simd.h"

namespace hadal::bench {
namespace {

using kernels::Precision;

// DeepSeek-V2-Lite's shapes: experts of 1408 x 2048, 64 of them, about 24 tokens each of a prefill of 256.
struct Shape {
  const char* name;
  int64_t m, n, k, count;
};
constexpr Shape kDecode = {"decode, 1 token", 1, 1408, 2048, 64};
constexpr Shape kShapes[] = {
    kDecode,
    {"4 tokens", 4, 1408, 2048, 64},
    {"experts, 24 tokens each", 24, 1408, 2048, 8},
    {"prefill, 256 tokens", 256, 3072, 2048, 1},
};

struct Options {
  int threads = 1;
  double seconds = 0.3;
  std::string filter;
  bool json = false;
};

// One thread: its processor time, which other programs on the machine disturb less. More threads: wall time.
double now(int threads) {
  if (threads > 1) return base::monotonic_seconds();
  timespec t{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

// Seconds of the quickest call.
double measure(const std::vector<kernels::QuantGemm>& problems, const Options& options,
               base::ThreadPool& pool) {
  double best = 1e9;
  const double end = base::monotonic_seconds() + options.seconds;
  do {
    const double begin = now(options.threads);
    kernels::quant_gemm(problems, Precision::kFast, pool);
    best = std::min(best, now(options.threads) - begin);
  } while (base::monotonic_seconds() < end);
  return best;
}

// GB/s of only reading these bytes. On one thread by its processor time, as the products; with more threads
// the machine's limit.
double read_rate(const std::vector<std::byte>& bytes, const Options& options) {
  if (options.threads > 1) return kernels::measure_bandwidth(options.threads).read_gb_per_s;
  double best = 1e9;
  uint64_t sink = 0;
  for (int round = 0; round < 5; ++round) {
    const double begin = now(1);
    uint64_t sum[32] = {};
    for (size_t at = 0; at + sizeof(sum) <= bytes.size(); at += sizeof(sum)) {
      uint64_t words[32];
      std::memcpy(words, bytes.data() + at, sizeof(words));
      for (size_t i = 0; i < 32; ++i) sum[i] += words[i];
    }
    for (const uint64_t part : sum) sink += part;
    best = std::min(best, now(1) - begin);
  }
  volatile uint64_t keep = sink;
  (void)keep;
  return 1e-9 * static_cast<double>(bytes.size()) / best;
}

int run(const Options& options) {
  base::ThreadPool pool(options.threads);
  base::Random random(1);
  base::Json rows = base::Json::array();
  double bandwidth = 0;  // of the point's own bytes
  double int8_peak = 0;
  double fma_peak = 0;
  const auto limits = [&] {
    int8_peak = std::max(int8_peak, kernels::measure_int8_peak(options.threads));
    fma_peak = std::max(fma_peak, kernels::measure_fma_peak(options.threads));
  };
  limits();
  if (!options.json) {
    fmt::print("{} / {}, {} threads\n{:<11}", kernels::simd_name(), kernels::int8_name(), options.threads,
               "");
    for (const Shape& shape : kShapes) fmt::print("{:>28}", shape.name);
    fmt::print("\n");
  }
  for (const auto& format : quant::weight_formats()) {
    if (!options.filter.empty() && options.filter != format.name) continue;
    if (!options.json) fmt::print("{:<11}", format.name);
    for (const Shape& shape : kShapes) {
      std::vector<float> values(static_cast<size_t>(shape.m * shape.k));
      for (auto& v : values) v = static_cast<float>(random.normal());
      kernels::Activations x;
      x.assign(tensor::matrix(values.data(), shape.m, shape.k), true, pool);
      // One matrix, many copies: a model's worth of memory, quickly made.
      const kernels::RandomWeights one(random, format, shape.n, shape.k);
      const auto bytes_each = static_cast<size_t>(one.matrix.bytes());
      const auto count = static_cast<size_t>(shape.count);
      std::vector<std::byte> weights(count * bytes_each);
      const std::vector<float> scales(static_cast<size_t>((shape.n / 128 + 1) * (shape.k / 128)), 0.02f);
      std::vector<std::vector<float>> y;
      std::vector<kernels::QuantGemm> problems;
      for (size_t i = 0; i < count; ++i) {
        std::memcpy(weights.data() + i * bytes_each, one.matrix.data, bytes_each);
        quant::QuantMatrix w{&format, weights.data() + i * bytes_each, shape.n, shape.k};
        if (format.block_scaled) {
          w.scale_inv = scales.data();
          w.scale_cols = shape.k / 128;
        }
        y.emplace_back(static_cast<size_t>(shape.m * shape.n));
        problems.push_back({&x, nullptr, shape.m, w, y.back().data(), shape.n, false});
      }
      const double seconds = measure(problems, options, pool);
      const auto bytes = static_cast<double>(weights.size());
      bandwidth = read_rate(weights, options);
      const double gb = 1e-9 * bytes / seconds;
      const double gop = 2e-9 * static_cast<double>(shape.count * shape.m * shape.n * shape.k) / seconds;
      rows.push_back({{"format", format.name},
                      {"shape", shape.name},
                      {"m", shape.m},
                      {"gb_per_s", gb},
                      {"read_gb_per_s", bandwidth},
                      {"gop_per_s", gop}});
      if (!options.json) {
        const bool int8 = kernels::uses_int8(format);
        fmt::print("{:>28}", shape.m < 8 ? fmt::format("{:.1f} GB/s ({:.0f} %)", gb, 100 * gb / bandwidth)
                                         : fmt::format("{:.0f} GOP/s ({:.0f} %)", gop,
                                                       100 * gop / (int8 ? int8_peak : fma_peak)));
        std::fflush(stdout);
      }
    }
    if (!options.json) fmt::print("\n");
    limits();
  }
  if (options.json) {
    const base::Json result = {{"threads", options.threads},       {"simd", kernels::simd_name()},
                               {"int8", kernels::int8_name()},     {"int8_peak_gop_per_s", int8_peak},
                               {"fma_peak_gflop_per_s", fma_peak}, {"points", rows}};
    fmt::print("{}\n", base::dump_json(result, 2));
  } else {
    fmt::print("limits: 8-bit {:.0f} GOP/s, FP32 {:.0f} GFLOP/s\n", int8_peak, fma_peak);
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
                   "usage: bench_quant_gemm [--threads N] [--seconds S] [--filter FORMAT] [--json]\n");
      return 2;
    }
  }
  return hadal::bench::run(options);
}
