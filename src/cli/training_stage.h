// What the commands that train in a run directory have in common; of those that take nothing but a recipe
// (--recipe, --out, --resume, --set, --threads, --quiet) all.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "cli/command.h"
#include "train/trainer.h"

namespace hadal::cli {

using RunStage = std::function<train::Outcome(const std::string& recipe, const std::vector<std::string>& set,
                                              const train::TrainerOptions& options)>;

void add_training_stage(CLI::App& app, const std::string& name, const std::string& purpose,
                        const std::string& examples, const RunStage& run);

// Threads, and the machine's peak for MFU.
train::TrainerOptions trainer_options(const std::string& run, int threads, bool quiet);
// --out, or runs/<name of the recipe>.
std::string run_directory(const std::string& out, const std::string& recipe);
// --skip-bad-lines, of what takes tasks, which may be files; and what it sets in a stage's recipe.
void add_skip_bad_lines(CLI::App& command, bool& value, const std::string& in_recipe = "task.skip_bad_lines");
inline constexpr const char* kSkipBadLines = "task.skip_bad_lines=true";
void print_outcome(train::Outcome outcome, const std::string& run);

}  // namespace hadal::cli
