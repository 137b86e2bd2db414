#include "posttrain/grpo/recipe.h"

#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/toml_reader.h"
#include "posttrain/recipe_parts.h"

namespace hadal::posttrain {

using base::TomlTable;

GrpoRecipe parse_grpo_recipe(const std::string& toml, const std::string& name,
                             const std::vector<std::string>& overrides) {
  TomlTable root = TomlTable::parse(toml, name);
  for (const std::string& assignment : overrides) root.apply_override(assignment);
  GrpoRecipe r;
  r.path = name;
  read_int(root, "seed", r.seed, 0, INT64_MAX);
  r.base = root.section("model").require_string("base");
  const TomlTable task = root.section("task");
  r.task = task.require_string("name");
  r.prompt_template = task.get_string("template", r.prompt_template);
  r.skip_bad_lines = task.get_bool("skip_bad_lines", r.skip_bad_lines);
  const std::string rewards = root.section("rewards").require_string("sum");

  const TomlTable rollout = root.section("rollout");
  read_int(rollout, "prompts", r.prompts, 1, 1 << 16);
  read_int(rollout, "answers", r.answers, 2, 1 << 12);
  read_int(rollout, "max_tokens", r.max_tokens, 1, 1 << 20);
  read_int(rollout, "max_running", r.max_running, 1, 1 << 16);

  const TomlTable grpo = root.section("grpo");
  read_int(grpo, "minibatches", r.minibatches, 1, r.prompts);
  read_number(grpo, "clip_low", r.loss.clip_low, 0, 1);
  read_number(grpo, "clip_high", r.loss.clip_high, 0, 1e6);
  read_number(grpo, "kl", r.loss.kl, 0, 1e3);
  r.divide_by_std = grpo.get_bool("divide_by_std", r.divide_by_std);
  r.average = parse_average(grpo.get_string("average", "sequence"));
  read_int(grpo, "reference_every_steps", r.reference_every_steps, 0, kMany);
  read_int(grpo, "dynamic_sampling_rounds", r.dynamic_sampling_rounds, 1, 100);

  const TomlTable train = root.section("train");
  read_int(train, "row_tokens", r.row_tokens, 0, 1 << 20);
  read_int(train, "micro_tokens", r.micro_tokens, 1, 1 << 24);

  read_learning(root, r.optimizer, r.schedule);
  read_eval(root, r.eval_every_steps, r.eval_problems, r.eval_answers, r.report_every_steps);
  train::read_checkpoint(root.section("checkpoint"), r.checkpoint);
  root.reject_unknown();
  r.rewards = parse_reward_parts(rewards);
  std::set<std::string> names;
  for (const RewardPart& reward : r.rewards) {
    if (!names.insert(reward.name).second)
      root.section("rewards").fail("sum",
                                   "names the reward " + reward.name + " twice: metrics go by its name");
  }
  r.text = root.dump();
  return r;
}

GrpoRecipe load_grpo_recipe(const std::string& path, const std::vector<std::string>& overrides) {
  return parse_grpo_recipe(base::read_file(path), path, overrides);
}

base::Json recipe_to_json(const GrpoRecipe& r) {
  base::Json rewards = base::Json::object();
  for (const RewardPart& reward : r.rewards)
    rewards[reward.name] = {{"weight", reward.weight}, {"options", reward.options}};
  const char* average = r.average == Average::kSequence ? "sequence"
                        : r.average == Average::kToken  ? "token"
                                                        : "constant";
  return {{"seed", r.seed},
          {"model", {{"base", r.base}}},
          {"data",
           {{"task", r.task},
            {"skip_bad", r.skip_bad_lines},
            {"template", r.prompt_template},
            {"rewards", rewards},
            {"prompts", r.prompts},
            {"answers", r.answers},
            {"max_tokens", r.max_tokens},
            {"minibatches", r.minibatches},
            {"dynamic_sampling_rounds", r.dynamic_sampling_rounds},
            {"reference_every_steps", r.reference_every_steps}}},
          {"grpo",
           {{"clip_low", r.loss.clip_low},
            {"clip_high", r.loss.clip_high},
            {"kl", r.loss.kl},
            {"divide_by_std", r.divide_by_std},
            {"average", average}}},
          {"optimizer", train::optimizer_to_json(r.optimizer, r.schedule)},
          {"schedule", train::schedule_to_json(r.schedule)}};
}

}  // namespace hadal::posttrain
