// A run of distillation as a TOML file; recipes/distill shows it in use.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/json.h"
#include "train/optimizer.h"
#include "train/recipe_parts.h"
#include "train/schedule.h"

namespace hadal::posttrain {

enum class DistillLoss {
  kTokens,   // cross-entropy on the sampled tokens: the R1 report's distillation (SFT on the teacher's
             // samples)
  kForward,  // KL(teacher || student) over the vocabulary at each of them
  kReverse,  // KL(student || teacher)
};

struct DistillRecipe {
  std::string path;
  std::string text;  // the effective TOML, overrides included
  uint64_t seed = 1;

  std::string teacher, student;  // [model] checkpoints (directories, GGUF) with one vocabulary
  std::string task;              // [task]
  bool skip_bad_lines = false;   // of a file of questions: leave them out, and count them
  std::string prompt_template = "brief";

  // [samples]
  bool from_student = false;  // "student": on-policy; else "teacher"
  bool verified = true;       // only answers that the task's verifier accepts
  int prompts = 16;           // questions of a step
  int answers = 4;            // of each
  int max_tokens = 96;
  int max_running = 256;

  DistillLoss loss = DistillLoss::kTokens;  // [distill] loss
  int64_t micro_tokens = 8192;
  train::OptimizerOptions optimizer;
  train::Schedule schedule;

  int64_t eval_every_steps = 20;
  int eval_problems = 256;
  int eval_answers = 1;
  int64_t report_every_steps = 10;
  train::CheckpointOptions checkpoint{.every_steps = 50, .weights = "f32"};  // [checkpoint]
};

// Throws Error{kBadInput} "[recipe] file:line: key ...". `overrides` are "section.key=value".
DistillRecipe load_distill_recipe(const std::string& path, const std::vector<std::string>& overrides = {});
DistillRecipe parse_distill_recipe(const std::string& toml, const std::string& name,
                                   const std::vector<std::string>& overrides = {});
base::Json recipe_to_json(const DistillRecipe& recipe);

}  // namespace hadal::posttrain
