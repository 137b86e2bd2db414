// hadal bench train: the throughput of one optimizer step on the configuration that bench/train_vs_torch.py
// compares with PyTorch, beside the FMA peak of the machine measured in turns with the steps.
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <memory>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "base/json.h"
#include "base/memory.h"
#include "base/random.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "kernels/machine_limits.h"
#include "model/transformer.h"
#include "train/optimizer.h"

namespace hadal::cli {
namespace {

constexpr int64_t kRows = 8;
constexpr int64_t kLength = 256;

struct Options {
  int threads = 0;
  int steps = 8;
  int warmup = 2;
  bool json = false;
};

model::ModelConfig bench_config() {
  model::ModelConfig config;
  config.architecture = "DeepseekV3ForCausalLM";
  config.model_type = "deepseek_v3";
  config.vocab_size = 4096;
  config.hidden_size = 256;
  config.intermediate_size = 704;
  config.moe_intermediate_size = 128;
  config.num_hidden_layers = 6;
  config.first_k_dense_replace = 1;
  config.num_attention_heads = 8;
  config.n_routed_experts = 32;
  config.n_shared_experts = 1;
  config.num_experts_per_tok = 4;
  config.topk_method = model::TopkMethod::kNoauxTc;
  config.scoring_func = model::ScoringFunc::kSigmoid;
  config.norm_topk_prob = true;
  config.kv_lora_rank = 64;
  config.qk_nope_head_dim = 32;
  config.qk_rope_head_dim = 16;
  config.v_head_dim = 32;
  config.max_position_embeddings = kLength;
  return config;
}

double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t half = values.size() / 2;
  return values.size() % 2 == 1 ? values[half] : 0.5 * (values[half - 1] + values[half]);
}

void bench_train(const Options& options) {
  const int threads = base::thread_count(options.threads);
  base::keep_freed_memory();
  base::ThreadPool pool(threads);
  const auto model = model::Transformer::create(bench_config(), 1, 0.02);
  model->enable_gradients();
  train::Optimizer optimizer(*model, {});
  base::Random random(1);
  std::vector<int32_t> tokens(kRows * (kLength + 1));
  std::vector<double> seconds, peaks;
  double first_loss = 0;
  double loss = 0;
  for (int step = 0; step < options.warmup + options.steps; ++step) {
    const bool timed = step >= options.warmup;
    if (timed) peaks.push_back(kernels::measure_fma_peak(threads));
    for (auto& token : tokens) token = static_cast<int32_t>(random.below(model->config().vocab_size));
    const double start = base::monotonic_seconds();
    model->zero_gradients(pool);
    loss = model->forward_backward({kRows, kLength, tokens, {}}, {}, pool).loss;
    optimizer.step(1e-3, pool);
    if (timed) seconds.push_back(base::monotonic_seconds() - start);
    if (step == 0) first_loss = loss;
  }
  if (!std::isfinite(loss)) throw_error(ErrorCode::kInternal, "[bench] train: the loss became {}", loss);
  const double step_seconds = median(seconds);
  const double tokens_per_s = static_cast<double>(kRows * kLength) / step_seconds;
  const double flop_per_token = 6.0 * static_cast<double>(model->config().active_matmul_parameters());
  const double gflop_per_s = tokens_per_s * flop_per_token * 1e-9;
  const double peak = median(peaks);
  if (options.json) {
    const base::Json result = {{"tokens_per_s", tokens_per_s},
                               {"gflop_per_s", gflop_per_s},
                               {"fraction_of_fma_peak", gflop_per_s / peak},
                               {"fma_peak_gflop_per_s", peak},
                               {"step_ms", step_seconds * 1e3},
                               {"threads", threads},
                               {"parameters", model->parameter_count()},
                               {"active_matmul_parameters", model->config().active_matmul_parameters()},
                               {"first_loss", first_loss},
                               {"last_loss", loss}};
    std::printf("%s\n", base::dump_json(result).c_str());
    return;
  }
  fmt::print("training step, {} x {} tokens, {} threads: {:.0f} ms, {:.0f} tokens/s\n", kRows, kLength,
             threads, step_seconds * 1e3, tokens_per_s);
  fmt::print(
      "{:.1f} GFLOP/s (6 x {:.2f} M active matmul parameters per token): {:.1f} % of the FMA peak, {:.1f}\n",
      gflop_per_s, flop_per_token / 6e6, 100 * gflop_per_s / peak, peak);
}

}  // namespace

void add_bench_train(CLI::App& bench) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(bench, "train", "Training throughput against the machine's FMA peak",
                                  "  hadal bench train\n"
                                  "  hadal bench train --json --threads 1\n"
                                  "  python3 bench/train_vs_torch.py   # beside PyTorch");
  command->add_option("--threads", options->threads, "Threads (0: every processor)")
      ->check(CLI::Range(0, 1024));
  command->add_option("--steps", options->steps, "Timed steps; the median counts")
      ->check(CLI::Range(1, 1000));
  command->add_flag("--json", options->json, "One JSON object on standard output");
  command->callback([options] { bench_train(*options); });
}

}  // namespace hadal::cli
