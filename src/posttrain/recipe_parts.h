// What the recipes of post-training have in common.
#pragma once

#include <cstdint>
#include <string>

#include "base/toml_reader.h"
#include "eval/tasks/task.h"
#include "train/recipe_parts.h"
#include "train/run_loop.h"

namespace hadal::posttrain {

using train::kMany;

// `low` and `high` are allowed themselves.
template <typename T>
void read_int(const base::TomlTable& table, const char* key, T& value, int64_t low, int64_t high) {
  value = static_cast<T>(train::integer(table, key, static_cast<int64_t>(value), low, high));
}
template <typename T>
void read_number(const base::TomlTable& table, const char* key, T& value, double low, double high) {
  value = static_cast<T>(train::number(table, key, value, low, high));
}

// [optimizer] and [schedule]: AdamW without decay, and a constant rate after a warm-up, unless they say more.
void read_learning(const base::TomlTable& root, train::OptimizerOptions& optimizer,
                   train::Schedule& schedule);

// [eval] every_steps, problems, answers, report_every_steps.
void read_eval(const base::TomlTable& root, int64_t& every_steps, int& problems, int& answers,
               int64_t& report_every_steps);

// The loop's plan of a stage that works on a task's problems.
template <typename Recipe>
train::LoopPlan task_plan(const char* stage, const Recipe& recipe, const eval::Task& task) {
  train::LoopPlan plan;
  plan.stage = stage;
  plan.recipe_text = recipe.text;
  plan.recipe = recipe_to_json(recipe);
  plan.steps = recipe.schedule.steps;
  plan.checkpoint_every = recipe.checkpoint.every_steps;
  plan.checkpoints_kept = recipe.checkpoint.keep;
  plan.report_every = recipe.report_every_steps;
  plan.data = task.name();
  plan.data_checksum = task.checksum();
  plan.progress_line = false;
  return plan;
}

}  // namespace hadal::posttrain
