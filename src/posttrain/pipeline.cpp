#include "posttrain/pipeline.h"

#include <filesystem>
#include <set>

#include "base/error.h"
#include "base/files.h"
#include "base/log.h"
#include "base/toml_reader.h"
#include "posttrain/distill/trainer.h"
#include "posttrain/grpo/trainer.h"

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
  for (const PipelineStage& stage : stages) {
    train::TrainerOptions own = options;
    own.run = options.run + "/" + stage.name;
    if (fs::exists(own.run + "/summary.json")) {
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
