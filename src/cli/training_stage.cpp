#include "cli/training_stage.h"

#include <cstdio>
#include <filesystem>
#include <memory>

#include "base/memory.h"
#include "base/thread_pool.h"
#include "kernels/machine_limits.h"

namespace hadal::cli {

std::string run_directory(const std::string& out, const std::string& recipe) {
  return out.empty() ? "runs/" + std::filesystem::path(recipe).stem().string() : out;
}

train::TrainerOptions trainer_options(const std::string& run, int threads, bool quiet) {
  base::keep_freed_memory();
  train::TrainerOptions options;
  options.run = run;
  options.threads = base::thread_count(threads);
  options.peak_flops_per_s = 1e9 * kernels::measure_fma_peak(options.threads);
  if (quiet) options.progress = train::ProgressLine::Mode::kQuiet;
  return options;
}

void add_skip_bad_lines(CLI::App& command, bool& value, const std::string& in_recipe) {
  command.add_flag(
      "--skip-bad-lines", value,
      "of a jsonl task: leave them out, and count them" + (in_recipe.empty() ? "" : " (" + in_recipe + ")"));
}

void print_outcome(train::Outcome outcome, const std::string& run) {
  std::printf("%s %s\n", outcome == train::Outcome::kFinished ? "finished" : "stopped", run.c_str());
}

void add_training_stage(CLI::App& app, const std::string& name, const std::string& purpose,
                        const std::string& examples, const RunStage& run) {
  struct Options {
    std::string recipe, out;
    bool resume = false, quiet = false, skip_bad_lines = false;
    int threads = 0;
    std::vector<std::string> set;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(app, name, purpose, examples);
  command->add_option("--recipe,recipe", options->recipe, "the recipe, a TOML file")->required();
  command->add_option("--out", options->out, "the run directory (default: runs/<name of the recipe>)");
  command->add_flag("--resume", options->resume, "continue from the newest checkpoint of the run directory");
  command
      ->add_option("--set", options->set, "change a value of the recipe: section.key=value (may be repeated)")
      ->allow_extra_args(false);
  add_skip_bad_lines(*command, options->skip_bad_lines);
  add_threads_option(*command, options->threads);
  command->add_flag("--quiet", options->quiet, "no progress lines");
  command->callback([options, run] {
    train::TrainerOptions trainer =
        trainer_options(run_directory(options->out, options->recipe), options->threads, options->quiet);
    trainer.resume = options->resume;
    if (options->skip_bad_lines) options->set.emplace_back(kSkipBadLines);
    print_outcome(run(options->recipe, options->set, trainer), trainer.run);
  });
}

}  // namespace hadal::cli
