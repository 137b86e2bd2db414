// hadal grpo --recipe RECIPE.toml
#include "cli/training_stage.h"
#include "posttrain/grpo/trainer.h"

namespace hadal::cli {

void add_grpo(CLI::App& app) {
  add_training_stage(
      app, "grpo", "Reinforcement learning from checkable rewards (GRPO)",
      "  hadal grpo --recipe recipes/r1-zero/r1-zero.toml --out runs/r1-zero\n"
      "  hadal grpo --recipe recipes/r1-zero/r1-zero.toml --out runs/r1-zero --resume\n"
      "  hadal grpo --recipe recipes/r1-zero/r1-zero.toml --set grpo.kl=0 --set grpo.clip_high=0.28\n"
      "Ctrl-C and SIGTERM save a checkpoint and leave; a second Ctrl-C leaves at once.\n"
      "RUN/report.html shows the curves while it trains; RUN/model is the result, and every\n"
      "RUN/checkpoints/*/model can be served.",
      [](const std::string& recipe, const std::vector<std::string>& set,
         const train::TrainerOptions& options) {
        return posttrain::run_grpo(posttrain::load_grpo_recipe(recipe, set), options);
      });
}

}  // namespace hadal::cli
