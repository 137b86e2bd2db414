// hadal pretrain RECIPE.toml
#include "cli/training_stage.h"
#include "train/recipe.h"

namespace hadal::cli {
namespace {

struct Options {
  std::string recipe;
  std::string run;
  bool resume = false;
  bool quiet = false;
  int threads = 0;
  std::vector<std::string> set;
};

void run(const Options& options) {
  const train::Recipe recipe = train::load_recipe(options.recipe, options.set);
  train::TrainerOptions trainer =
      trainer_options(run_directory(options.run, options.recipe),
                      options.threads > 0 ? options.threads : recipe.threads, options.quiet);
  trainer.resume = options.resume;
  print_outcome(train::pretrain(recipe, trainer), trainer.run);
}

}  // namespace

void add_pretrain(CLI::App& app) {
  auto options = std::make_shared<Options>();
  CLI::App* command = add_command(
      app, "pretrain", "Train a model from a recipe",
      "  hadal pretrain recipes/nano/nano.toml --out runs/nano\n"
      "  hadal pretrain recipes/nano/nano.toml --out runs/nano --resume       (after Ctrl-C, a "
      "kill, a power cut)\n"
      "  hadal pretrain recipes/nano/nano.toml --set optimizer.lr=2e-3 --set schedule.tokens=1000000\n"
      "Ctrl-C and SIGTERM save a checkpoint and leave; a second Ctrl-C leaves at once.\n"
      "RUN/report.html shows the curves while it trains; RUN/model is the result.");
  command->add_option("recipe", options->recipe, "the recipe, a TOML file")->required();
  command->add_option("--out", options->run, "the run directory (default: runs/<name of the recipe>)");
  command->add_flag("--resume", options->resume, "continue from the newest checkpoint of the run directory");
  command
      ->add_option("--set", options->set, "change a value of the recipe: section.key=value (may be repeated)")
      ->allow_extra_args(false);
  command->add_option("--threads", options->threads, "threads (default: the recipe's, else all processors)")
      ->check(CLI::Range(0, 1024));
  command->add_flag("--quiet", options->quiet, "no progress line");
  command->callback([options] { run(*options); });
}

}  // namespace hadal::cli
