#include "posttrain/pipeline.h"

#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/toml_reader.h"
#include "posttrain/distill/trainer.h"
#include "posttrain/grpo/trainer.h"
#include "train/stop_signal.h"

namespace hadal::posttrain {

namespace {

namespace fs = std::filesystem;

std::string in_run(std::string text, const std::string& run) {
  constexpr std::string_view kPlace = "{run}";
  for (size_t at = text.find(kPlace); at != std::string::npos; at = text.find(kPlace, at + run.size()))
    text.replace(at, kPlace.size(), run);
  return text;
}

bool is_plain_name(const std::string& name) {
  return !name.empty() &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789-_") == std::string::npos;
}

base::Json what_is_learnt(const PipelineStage& stage, const std::string& recipe,
                          const std::vector<std::string>& set) {
  return stage.kind == "grpo" ? recipe_to_json(load_grpo_recipe(recipe, set))
                              : recipe_to_json(load_distill_recipe(recipe, set));
}

// A stage that is done, with another recipe than it has now, is not this stage.
void refuse_changed(const PipelineStage& stage, const std::string& run) {
  const std::string before_path = run + "/recipe.toml";
  const base::Json now = what_is_learnt(stage, stage.recipe, stage.set).flatten();
  base::Json before;
  try {
    before = what_is_learnt(stage, before_path, {}).flatten();
  } catch (const Error& e) {
    throw_error(ErrorCode::kBadInput,
                "[r1] stage {} is done, but not as a {} stage that can be compared ({}); "
                "use a new --out",
                stage.name, stage.kind, e.what());
  }
  for (const auto& [key, value] : now.items()) {
    const base::Json old = before.contains(key) ? before[key] : base::Json();
    if (old == value || key == "/data/skip_bad") continue;
    throw_error(
        ErrorCode::kBadInput,
        "[r1] stage {} is done with {} = {}, and its recipe says {} now; use the old recipe or a new --out "
        "(or remove {} and the stages that build on it)",
        stage.name, key.substr(1), base::dump_json(old), base::dump_json(value), run);
  }
}

// The questions of a stage that is done are those that its summary names; older summaries name none.
void refuse_other_questions(const PipelineStage& stage, const std::string& run) {
  const base::Json summary = base::read_json_file(run + "/summary.json");
  const auto before = summary.find(train::kDataChecksum);
  if (before == summary.end()) return;
  const auto open = [&](const auto& recipe) { return eval::open_task(recipe.task, {recipe.skip_bad_lines}); };
  const auto task = stage.kind == "grpo" ? open(load_grpo_recipe(stage.recipe, stage.set))
                                         : open(load_distill_recipe(stage.recipe, stage.set));
  if (*before == fmt::format("{:016x}", task->checksum())) return;
  throw_error(ErrorCode::kBadInput,
              "[r1] stage {} is done with other questions than {} holds now; use the old file or a new --out "
              "(or remove {} and the stages that build on it)",
              stage.name, task->name(), run);
}

}  // namespace

std::vector<PipelineStage> load_pipeline(const std::string& path, const std::string& run) {
  const base::TomlTable root = base::TomlTable::parse(base::read_file(path), path);
  std::vector<PipelineStage> stages;
  std::set<std::string> names;
  for (const base::TomlTable& table : root.tables("stage")) {
    PipelineStage stage;
    stage.name = table.require_string("name");
    if (!is_plain_name(stage.name) || !names.insert(stage.name).second)
      table.fail("name",
                 fmt::format("is \"{}\": a name of its own in small letters, digits and -", stage.name));
    stage.kind = table.require_string("kind");
    stage.recipe = table.require_string("recipe");
    for (const std::string& change : table.get_strings("set")) stage.set.push_back(in_run(change, run));
    if (stage.kind == "grpo")
      load_grpo_recipe(stage.recipe, stage.set);
    else if (stage.kind == "distill")
      load_distill_recipe(stage.recipe, stage.set);
    else
      table.fail("kind", fmt::format("is \"{}\", must be grpo or distill", stage.kind));
    stages.push_back(std::move(stage));
  }
  root.reject_unknown();
  if (stages.empty()) throw_error(ErrorCode::kBadInput, "[recipe] {}: there is no [[stage]]", path);
  return stages;
}

train::Outcome run_pipeline(const std::vector<PipelineStage>& stages, const train::TrainerOptions& options) {
  const train::StopSignal stop;  // over all stages: one may come when a stage's last step is being taken
  for (const PipelineStage& stage : stages) {
    if (stop.received() != 0) {
      spdlog::info("signal {}: stage {} is not begun; the same command goes on", stop.received(), stage.name);
      return train::Outcome::kStopped;
    }
    train::TrainerOptions own = options;
    own.run = options.run + "/" + stage.name;
    own.go_on = "the same command goes on";
    if (fs::exists(own.run + "/summary.json")) {
      refuse_changed(stage, own.run);
      refuse_other_questions(stage, own.run);
      spdlog::info("stage {}: done", stage.name);
      continue;
    }
    own.resume = fs::exists(own.run + "/checkpoints");
    spdlog::info("stage {}: {} {}{}", stage.name, stage.kind, stage.recipe, own.resume ? ", going on" : "");
    const train::Outcome outcome = stage.kind == "grpo"
                                       ? run_grpo(load_grpo_recipe(stage.recipe, stage.set), own)
                                       : run_distill(load_distill_recipe(stage.recipe, stage.set), own);
    if (outcome == train::Outcome::kStopped) return outcome;
  }
  return train::Outcome::kFinished;
}

}  // namespace hadal::posttrain
