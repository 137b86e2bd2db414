#include "posttrain/distill/recipe.h"

#include "base/error.h"
#include "base/files.h"
#include "base/toml_reader.h"
#include "posttrain/recipe_parts.h"

namespace hadal::posttrain {

DistillRecipe load_distill_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_distill_recipe(base::read_file(path), path, overrides);
}

DistillRecipe parse_distill_recipe(const std::string& toml, const std::string& name,
                                   const std::vector<std::string>& overrides) {
  base::TomlTable root = base::TomlTable::parse(toml, name);
  for (const std::string& assignment : overrides) root.apply_override(assignment);
  DistillRecipe r;
  r.path = name;
  read_int(root, "seed", r.seed, 0, INT64_MAX);
  const base::TomlTable model = root.section("model");
  r.teacher = model.require_string("teacher");
  r.student = model.require_string("student");
  const base::TomlTable task = root.section("task");
  r.task = task.require_string("name");
  r.prompt_template = task.get_string("template", r.prompt_template);
  r.skip_bad_lines = task.get_bool("skip_bad_lines", r.skip_bad_lines);

  const base::TomlTable samples = root.section("samples");
  const std::string from = samples.get_string("from", "teacher");
  if (from != "teacher" && from != "student")
    samples.fail("from", fmt::format("is \"{}\", must be teacher or student", from));
  r.from_student = from == "student";
  r.verified = samples.get_bool("verified", !r.from_student);
  read_int(samples, "prompts", r.prompts, 1, 1 << 16);
  read_int(samples, "answers", r.answers, 1, 1 << 12);
  read_int(samples, "max_tokens", r.max_tokens, 1, 1 << 20);
  read_int(samples, "max_running", r.max_running, 1, 1 << 16);

  const base::TomlTable distill = root.section("distill");
  const std::string loss = distill.get_string("loss", "tokens");
  if (loss != "tokens" && loss != "forward_kl" && loss != "reverse_kl")
    distill.fail("loss", fmt::format("is \"{}\", must be tokens, forward_kl or reverse_kl", loss));
  r.loss = loss == "tokens"       ? DistillLoss::kTokens
           : loss == "forward_kl" ? DistillLoss::kForward
                                  : DistillLoss::kReverse;
  if (r.from_student && r.loss == DistillLoss::kTokens && !r.verified) {
    samples.fail("verified",
                 "is false: cross-entropy on the student's own samples, right or wrong, teaches nothing");
  }
  read_int(distill, "micro_tokens", r.micro_tokens, 1, 1 << 24);
  read_learning(root, r.optimizer, r.schedule);
  read_eval(root, r.eval_every_steps, r.eval_problems, r.eval_answers, r.report_every_steps);
  train::read_checkpoint(root.section("checkpoint"), r.checkpoint);
  root.reject_unknown();
  r.text = root.dump();
  return r;
}

base::Json recipe_to_json(const DistillRecipe& r) {
  constexpr const char* kLosses[] = {"tokens", "forward_kl", "reverse_kl"};
  return {{"seed", r.seed},
          {"model", {{"teacher", r.teacher}, {"student", r.student}}},
          {"data",
           {{"task", r.task},
            {"skip_bad", r.skip_bad_lines},
            {"template", r.prompt_template},
            {"from", r.from_student ? "student" : "teacher"},
            {"verified", r.verified},
            {"prompts", r.prompts},
            {"answers", r.answers},
            {"max_tokens", r.max_tokens},
            {"loss", kLosses[static_cast<int>(r.loss)]}}},
          {"optimizer", train::optimizer_to_json(r.optimizer, r.schedule)},
          {"schedule", train::schedule_to_json(r.schedule)}};
}

}  // namespace hadal::posttrain
