// hadal bench: what this machine can do (limits), and what Hadal makes of it (train).
#include <fmt/format.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/error.h"
#include "base/json.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "kernels/machine_limits.h"
#include "kernels/simd.h"

namespace hadal::cli {
namespace {

struct LimitsOptions {
  int threads = 0;
  bool json = false;
};

// 1, 2, 4, ... and `most`.
std::vector<int> thread_counts(int most) {
  std::vector<int> counts;
  for (int n = 1; n < most; n *= 2) counts.push_back(n);
  counts.push_back(most);
  return counts;
}

void run_limits(const LimitsOptions& options) {
  const int most = base::thread_count(options.threads);
  if (!options.json) {
    fmt::print("instruction set {} ({} processors)\n", kernels::simd_name(), base::default_thread_count());
    fmt::print("{:>7}  {:>18}  {:>10}  {:>10}\n", "threads", "FP32 FMA GFLOP/s", "read GB/s", "copy GB/s");
  }
  base::Json rows = base::Json::array();
  for (const int threads : thread_counts(most)) {
    const double peak = kernels::measure_fma_peak(threads);
    const kernels::Bandwidth bandwidth = kernels::measure_bandwidth(threads);
    rows.push_back({{"threads", threads},
                    {"fma_gflop_per_s", peak},
                    {"read_gb_per_s", bandwidth.read_gb_per_s},
                    {"copy_gb_per_s", bandwidth.copy_gb_per_s}});
    if (!options.json) {
      fmt::print("{:>7}  {:>18.1f}  {:>10.1f}  {:>10.1f}\n", threads, peak, bandwidth.read_gb_per_s,
                 bandwidth.copy_gb_per_s);
      std::fflush(stdout);
    }
  }
  if (options.json) {
    const base::Json result = {{"simd", kernels::simd_name()},
                               {"processors", base::default_thread_count()},
                               {"bytes_per_thread", kernels::kBandwidthBytes},
                               {"limits", rows}};
    fmt::print("{}\n", base::dump_json(result, 2));
  }
}

void add_bench_limits(CLI::App& bench) {
  CLI::App* command = add_command(
      bench, "limits", "Measure this machine: FP32 FMA peak and memory bandwidth, from 1 thread to all",
      "  hadal bench limits\n"
      "  hadal bench limits --threads 2 --json\n"
      "  HADAL_SIMD=avx2 hadal bench limits     as a machine without AVX-512 would\n"
      "Peak: the best of many 2 ms rounds. Bandwidth: the best of nine passes over 128 MiB a thread;\n"
      "a copied byte counts twice, once read and once written.");
  auto options = std::make_shared<LimitsOptions>();
  command->add_option("--threads", options->threads, "The most threads to use (0: every processor)")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--json", options->json, "Print one JSON object");
  command->callback([options] { run_limits(*options); });
}

}  // namespace

void add_bench(CLI::App& app) {
  CLI::App* bench = add_command(app, "bench", "Measure this machine, and Hadal against it",
                                "  hadal bench limits\n"
                                "  hadal bench train --json\n"
                                "  hadal bench model --model models/hadal-nano\n"
                                "  hadal bench serve --make agent > agent.jsonl");
  bench->require_subcommand(1);
  add_bench_limits(*bench);
  add_bench_train(*bench);
  add_bench_model(*bench);
  add_bench_serve(*bench);
  add_bench_rollout(*bench);
}

}  // namespace hadal::cli
