// hadal bench rollout: tokens per second of sampled answers, by how many share the model's steps.
#include <cstdio>
#include <memory>

#include "base/json.h"
#include "base/thread_pool.h"
#include "cli/command.h"
#include "cli/training_stage.h"
#include "eval/tasks/task.h"
#include "posttrain/rollout/rollout.h"

namespace hadal::cli {
namespace {

struct Options {
  std::string model;
  std::string task = "sums:2";
  std::string prompt_template = "brief";
  int questions = 16;
  int answers = 16;
  int max_tokens = 96;
  int threads = 0;
  bool skip_bad_lines = false;
  std::vector<int> running = {1, 8, 64, 256};
  bool json = false;
};

void run(const Options& options) {
  const auto model = model::Transformer::load(options.model);
  const auto task = eval::open_task(options.task, {options.skip_bad_lines});
  const eval::PromptTemplate& how = eval::find_prompt_template(options.prompt_template);
  base::Json results = base::Json::array();
  if (!options.json) std::printf("%8s %10s %12s %10s\n", "at once", "answers", "tokens", "tokens/s");
  for (const int running : options.running) {
    posttrain::Rollout rollout(*model, options.model,
                               {.max_running = running, .threads = base::thread_count(options.threads)});
    std::vector<std::vector<text::TokenId>> prompts;
    // Few of them alone take as long as many together.
    const int questions = running == 1 ? std::max(1, options.questions / 8) : options.questions;
    for (int i = 0; i < questions; ++i) {
      prompts.push_back(rollout.prompt(how, task->problem(eval::Split::kTrain, 1, static_cast<uint64_t>(i))));
    }
    posttrain::RolloutCost warm, cost;
    rollout.sample(std::span(prompts).first(1), {.answers = 2, .max_tokens = options.max_tokens}, &warm);
    rollout.sample(prompts, {.answers = options.answers, .max_tokens = options.max_tokens, .seed = 2}, &cost);
    const double rate = static_cast<double>(cost.answer_tokens) / cost.seconds;
    results.push_back({{"at_once", running},
                       {"answers", questions * options.answers},
                       {"prompt_tokens", cost.prompt_tokens},
                       {"answer_tokens", cost.answer_tokens},
                       {"seconds", cost.seconds},
                       {"tokens_per_s", rate}});
    if (!options.json) {
      std::printf("%8d %10d %12lld %10.0f\n", running, questions * options.answers,
                  static_cast<long long>(cost.answer_tokens), rate);
      std::fflush(stdout);
    }
  }
  if (options.json) std::printf("%s\n", base::dump_json(results).c_str());
}

}  // namespace

void add_bench_rollout(CLI::App& bench) {
  auto options = std::make_shared<Options>();
  CLI::App* command =
      add_command(bench, "rollout", "Answers sampled from a model in training: tokens per second",
                  "  hadal bench rollout --model runs/r1-zero/model --task sums:5\n"
                  "  hadal bench rollout --model runs/r1-zero/model --task sums:5 --running 1 256 --json\n");
  command->add_option("--model", options->model, "a Hugging Face directory")->required();
  command->add_option("--task", options->task, "where questions come from")->capture_default_str();
  command->add_option("--template", options->prompt_template, "how they are asked")->capture_default_str();
  command->add_option("--questions", options->questions, "questions")->check(CLI::PositiveNumber);
  command->add_option("--answers", options->answers, "answers to each")->check(CLI::PositiveNumber);
  command->add_option("--max-tokens", options->max_tokens, "of an answer")->check(CLI::PositiveNumber);
  command->add_option("--running", options->running, "how many answers share a step (several: one row each)");
  add_skip_bad_lines(*command, options->skip_bad_lines, "");
  add_threads_option(*command, options->threads);
  command->add_flag("--json", options->json, "a JSON list");
  command->callback([options] { run(*options); });
}

}  // namespace hadal::cli
