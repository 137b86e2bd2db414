// hadal distill --recipe RECIPE.toml
#include "cli/training_stage.h"
#include "posttrain/distill/trainer.h"

namespace hadal::cli {

void add_distill(CLI::App& app) {
  add_training_stage(
      app, "distill", "Teach a student from a teacher's answers, or from what the teacher says of its own",
      "  hadal distill --recipe recipes/distill/samples.toml --out runs/distilled\n"
      "  hadal distill --recipe recipes/distill/on-policy.toml --out runs/distilled-kl --resume\n"
      "Ctrl-C and SIGTERM save a checkpoint and leave; a second Ctrl-C leaves at once.",
      [](const std::string& recipe, const std::vector<std::string>& set,
         const train::TrainerOptions& options) {
        return posttrain::run_distill(posttrain::load_distill_recipe(recipe, set), options);
      });
}

}  // namespace hadal::cli
