#include <gtest/gtest.h>

#include <csignal>
#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "posttrain/distill/trainer.h"
#include "posttrain/pipeline.h"
#include "posttrain/task_models.h"
#include "support/temporary_folder.h"
#include "train/checkpoint.h"
#include "train/export_model.h"
#include "train/metrics.h"
#include "train/recipe.h"
#include "train/stop_signal.h"

namespace hadal::posttrain {
namespace {

// A teacher and a student with other random weights.
class DistillTest : public testing::Test {
 protected:
  void SetUp() override {
    test::make_task_data(folder_ / "data", 200);
    test::make_task_model(folder_ / "data", folder_ / "teacher", 1, 0.3);
    test::make_task_model(folder_ / "data", folder_ / "student", 2, 0.3);
  }

  std::string toml() const {
    return "seed = 1\n[model]\nteacher = \"" + (folder_ / "teacher") + "\"\nstudent = \"" +
           (folder_ / "student") +
           "\"\n[task]\nname = \"sums:2\"\n[samples]\nprompts = 4\nanswers = 2\nmax_tokens = 10\n"
           "[optimizer]\nlr = 5e-3\n[schedule]\nsteps = 24\n[eval]\nevery_steps = 0\nproblems = 2\n";
  }
  std::pair<double, double> losses(const std::vector<std::string>& set) {
    const std::string run = folder_ / ("run" + std::to_string(runs_++));
    train::TrainerOptions options;
    options.run = run;
    options.progress = train::ProgressLine::Mode::kQuiet;
    EXPECT_EQ(run_distill(parse_distill_recipe(toml(), "distill.toml", set), options),
              train::Outcome::kFinished);
    const auto lines = train::read_metrics(run + "/metrics.jsonl");
    return {lines.at(1)["loss"].get<double>(), lines.back()["loss"].get<double>()};
  }

  test::TemporaryFolder folder_;
  int runs_ = 0;
};

TEST_F(DistillTest, EveryLossFalls) {
  for (const std::vector<std::string>& set : {std::vector<std::string>{"samples.verified=false"},
                                              {"samples.verified=false", "distill.loss=forward_kl"},
                                              {"samples.from=student", "distill.loss=reverse_kl"}}) {
    const auto [first, last] = losses(set);
    EXPECT_LT(last, 0.95 * first) << set.back();
  }
}

TEST_F(DistillTest, ResumingAFinishedRunKeepsItsFigures) {
  const DistillRecipe recipe =
      parse_distill_recipe(toml(), "distill.toml", {"samples.verified=false", "schedule.steps=2"});
  train::TrainerOptions options;
  options.run = folder_ / "run";
  options.progress = train::ProgressLine::Mode::kQuiet;
  run_distill(recipe, options);
  // Random models are right by luck alone: another figure than 0 is put into the last line.
  const std::string path = options.run + "/metrics.jsonl";
  std::string text;
  for (base::Json line : train::read_metrics(path)) {
    if (line.contains("val_pass1")) line["val_pass1"] = 0.25;
    text += base::dump_json(line) + "\n";
  }
  test::spill(path, text);
  options.resume = true;
  run_distill(recipe, options);
  EXPECT_EQ(base::read_json_file(options.run + "/summary.json")["val_pass1"], 0.25);
}

TEST_F(DistillTest, ATeacherThatWasReplacedUnderItsNameIsRefused) {
  const std::vector<std::string> set = {"samples.verified=false", "schedule.steps=2"};
  train::TrainerOptions options;
  options.run = folder_ / "run";
  options.progress = train::ProgressLine::Mode::kQuiet;
  run_distill(parse_distill_recipe(toml(), "distill.toml", set), options);
  const std::string weights = folder_ / "teacher/model.safetensors";
  std::string bytes = base::read_file(weights);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::spill(weights, bytes);
  options.resume = true;
  const auto longer =
      parse_distill_recipe(toml(), "distill.toml", {"samples.verified=false", "schedule.steps=3"});
  try {
    run_distill(longer, options);
    ADD_FAILURE() << "another teacher was taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("model/teacher holds another model"), std::string::npos) << e.what();
  }
  // A checkpoint from before there were digests goes on.
  for (const std::string& checkpoint : train::list_checkpoints(options.run)) {
    base::Json state = base::read_json_file(checkpoint + "/state/state.json");
    EXPECT_EQ(state["recipe"]["model"].erase("teacher_digest"), 1u);
    state["recipe"]["model"].erase("student_digest");
    test::spill(checkpoint + "/state/state.json", base::dump_json(state));
  }
  EXPECT_EQ(run_distill(longer, options), train::Outcome::kFinished);
}

TEST_F(DistillTest, ATeacherWithAnotherTokenizerOfTheSameSizeIsRefused) {
  const std::string path = folder_ / "teacher/tokenizer.json";
  base::Json json = base::read_json_file(path);
  std::swap(json["model"]["vocab"]["1"], json["model"]["vocab"]["2"]);
  test::spill(path, base::dump_json(json));
  EXPECT_THROW(losses({"samples.verified=false"}), Error);
}

TEST_F(DistillTest, WrongRecipesAreRefused) {
  for (const char* set : {"samples.from=nobody", "distill.loss=hope", "samples.prompts=0", "task.nam=x"})
    EXPECT_THROW(parse_distill_recipe(toml(), "distill.toml", {set}), Error) << set;
  EXPECT_THROW(
      parse_distill_recipe(toml(), "distill.toml", {"samples.from=student", "samples.verified=false"}),
      Error);
}

TEST_F(DistillTest, APipelineGoesThroughItsStagesOnceAndReadsAllRecipesFirst) {
  test::spill(folder_ / "student/tokenizer_config.json", "{\"mine\": 1}\n");
  test::spill(folder_ / "distill.toml", toml());
  const std::string stage = "kind = \"distill\"\nrecipe = \"" + (folder_ / "distill.toml") + "\"\n";
  const std::string first =
      "[[stage]]\nname = \"one\"\n" + stage + "set = [\"samples.verified=false\", \"schedule.steps=2\"]\n";
  test::spill(
      folder_ / "two.toml",
      first + "[[stage]]\nname = \"two\"\n" + stage +
          "set = [\"samples.verified=false\", \"schedule.steps=2\", \"model.student={run}/one/model\"]\n");
  test::spill(folder_ / "bad.toml",
              first + "[[stage]]\nname = \"two\"\n" + stage + "set = [\"distill.los=x\"]\n");
  EXPECT_THROW(load_pipeline(folder_ / "bad.toml", folder_ / "run"), Error);
  EXPECT_FALSE(std::filesystem::exists(folder_ / "run"));
  train::TrainerOptions options;
  options.run = folder_ / "run";
  options.progress = train::ProgressLine::Mode::kQuiet;
  const auto stages = load_pipeline(folder_ / "two.toml", options.run);
  {
    // A signal that came in the last steps of a stage: it ends, and the next does not begin.
    const train::StopSignal held;
    raise(SIGTERM);
    auto short_one = stages;
    short_one[0].set.push_back("schedule.steps=1");
    train::TrainerOptions elsewhere = options;
    elsewhere.run = folder_ / "stopped";
    EXPECT_EQ(run_pipeline(short_one, elsewhere), train::Outcome::kStopped);
    EXPECT_FALSE(std::filesystem::exists(folder_ / "stopped/two"));
  }
  EXPECT_EQ(run_pipeline(stages, options), train::Outcome::kFinished);
  EXPECT_EQ(base::read_file(folder_ / "run/two/model/tokenizer_config.json"), "{\"mine\": 1}\n");
  const auto written = std::filesystem::last_write_time(folder_ / "run/one/summary.json");
  EXPECT_TRUE(std::filesystem::exists(folder_ / "run/two/model/config.json"));
  EXPECT_EQ(run_pipeline(stages, options), train::Outcome::kFinished);
  EXPECT_EQ(std::filesystem::last_write_time(folder_ / "run/one/summary.json"), written);
  // A stage that is done needs its checkpoints no more, and says what it was trained on without them.
  for (const std::string& checkpoint : train::list_checkpoints(folder_ / "run/one"))
    test::spill(checkpoint + "/state/state.safetensors", "damaged");
  EXPECT_EQ(run_pipeline(stages, options), train::Outcome::kFinished);
  base::Json summary = base::read_json_file(folder_ / "run/one/summary.json");
  const base::Json whole = summary;
  summary["data_xxh3"] = "0123456789abcdef";
  test::spill(folder_ / "run/one/summary.json", base::dump_json(summary));
  EXPECT_THROW(run_pipeline(stages, options), Error);
  test::spill(folder_ / "run/one/summary.json", base::dump_json(whole));
  auto changed = stages;
  changed[0].set.push_back("samples.prompts=5");
  EXPECT_THROW(run_pipeline(changed, options), Error);
}

}  // namespace
}  // namespace hadal::posttrain
