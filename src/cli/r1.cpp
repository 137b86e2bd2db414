// hadal r1 --recipe RECIPE.toml: several stages of post-training as one command.
#include <memory>

#include "cli/training_stage.h"
#include "posttrain/pipeline.h"

namespace hadal::cli {

void add_r1(CLI::App& app) {
  struct Options {
    std::string recipe;
    std::string run;
    bool quiet = false, skip_bad_lines = false;
    int threads = 0;
  };
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "r1", "Stages of post-training in order: RL, cold start, RL, rejection sampling, RL",
      "  hadal r1 --recipe recipes/r1/r1.toml --out runs/r1\n"
      "The same command goes on where it was interrupted; RUN/<stage>/model is each stage's result.");
  command->add_option("--recipe,recipe", options->recipe, "the stages, a TOML file")->required();
  command->add_option("--out", options->run,
                      "the directory of all stages (default: runs/<name of the recipe>)");
  add_skip_bad_lines(*command, options->skip_bad_lines);
  add_threads_option(*command, options->threads);
  command->add_flag("--quiet", options->quiet, "no progress lines");
  command->callback([options] {
    const std::string run = run_directory(options->run, options->recipe);
    auto stages = posttrain::load_pipeline(options->recipe, run);
    if (options->skip_bad_lines) {
      for (auto& stage : stages) stage.set.emplace_back(kSkipBadLines);
    }
    print_outcome(posttrain::run_pipeline(stages, trainer_options(run, options->threads, options->quiet)),
                  run);
  });
}

}  // namespace hadal::cli
