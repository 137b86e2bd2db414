// Whole runs of GRPO on a tiny model: dynamic sampling, what the report shows, a GGUF file as the base,
// updates that are left out, and a measurement that fails on the way.
#include <gtest/gtest.h>

#include <filesystem>

#include "base/error.h"
#include "base/files.h"
#include "engine/engine.h"
#include "posttrain/grpo/report_charts.h"
#include "posttrain/grpo/trainer.h"
#include "posttrain/task_models.h"
#include "support/shell.h"
#include "train/checkpoint.h"
#include "train/export_model.h"
#include "train/metrics.h"
#include "train/recipe.h"

namespace hadal::posttrain {
namespace {

namespace fs = std::filesystem;
using base::Json;

class GrpoRun : public testing::Test {
 protected:
  void SetUp() override {
    test::make_task_data(folder_ / "data", 200);
    test::make_task_model(folder_ / "data", folder_ / "base", 1, 0.1);
  }
  GrpoRecipe recipe(const std::vector<std::string>& set = {}) const {
    const std::string toml =
        "seed = 3\n[model]\nbase = \"" + (folder_ / "base") +
        "\"\n[task]\nname = \"sums:2\"\n[rewards]\nsum = \"random\"\n"
        "[rollout]\nprompts = 4\nanswers = 2\nmax_tokens = 8\nmax_running = 8\n"
        "[grpo]\nkl = 0\n[optimizer]\nlr = 1e-3\n[schedule]\nsteps = 4\n"
        "[eval]\nevery_steps = 2\nproblems = 2\nreport_every_steps = 10\n[checkpoint]\nevery_steps = 2\n";
    return parse_grpo_recipe(toml, "grpo.toml", set);
  }
  std::vector<Json> run(const GrpoRecipe& recipe, const std::string& name) {
    train::TrainerOptions options;
    options.run = folder_ / name;
    options.progress = train::ProgressLine::Mode::kQuiet;
    EXPECT_EQ(run_grpo(recipe, options), train::Outcome::kFinished);
    return train::read_metrics(options.run + "/metrics.jsonl");
  }
  train::TrainingState state(const std::string& name) const {
    return train::read_training_state(train::list_checkpoints(folder_ / name).at(0));
  }
  test::TemporaryFolder folder_;
};

TEST_F(GrpoRun, DynamicSamplingAsksAgainForGroupsWithoutSignal) {
  // A coin of one side or the other: half of the pairs of answers are equal.
  const std::vector<std::string> coins = {"rewards.sum=random", "schedule.steps=6"};
  for (const Json& line : run(recipe(coins), "plain")) {
    if (line["step"] == 0) continue;
    EXPECT_EQ(line["asked"], 4);  // once, whatever comes of them
  }
  std::vector<std::string> dynamic = coins;
  dynamic.push_back("grpo.dynamic_sampling_rounds=50");
  int64_t asked = 0;
  double dropped = 0;
  for (const Json& line : run(recipe(dynamic), "dynamic")) {
    if (line["step"] == 0) continue;
    const auto here = line["asked"].get<int64_t>();
    asked += here;
    dropped += line["groups_without_signal"].get<double>() * static_cast<double>(here);
    // Four groups with signal are left of them.
    EXPECT_NEAR(line["groups_without_signal"].get<double>(),
                static_cast<double>(here - 4) / static_cast<double>(here), 1e-9);
  }
  EXPECT_GT(dropped, 0);
  // The stream of questions has gone on behind all that were asked.
  EXPECT_EQ(state("dynamic").position.piece, asked);
  // Without any signal the rounds end, with the last one's groups.
  const auto lines = run(recipe({"rewards.sum=constant", "grpo.dynamic_sampling_rounds=3"}), "constant");
  EXPECT_EQ(lines.at(1)["asked"], 12);
  EXPECT_EQ(lines.at(1)["groups_without_signal"], 1.0);
}

TEST_F(GrpoRun, AnUpdateThatIsLeftOutIsNoneToTheOptimizer) {
  run(recipe({"rewards.sum=constant"}), "none");
  EXPECT_EQ(state("none").step, 4);
  EXPECT_EQ(state("none").updates, 0);
  EXPECT_TRUE(base::read_file(folder_ / "none/model/model.safetensors") ==
              base::read_file(folder_ / "base/model.safetensors"));
  run(recipe({"grpo.minibatches=2", "rollout.answers=8"}), "two");  // eight coins are hardly ever equal
  EXPECT_EQ(state("two").updates, 8);
}

TEST_F(GrpoRun, TheReportShowsWhatTheRunMeasured) {
  const GrpoRecipe r = recipe({"rewards.sum=random=1,format=0.5", "grpo.kl=0.01", "rollout.answers=4"});
  const auto lines = run(r, "report");
  const std::string page = base::read_file(folder_ / "report/report.html");
  const train::ReportLayout layout = grpo_report(r.rewards);
  std::vector<std::string> titles;
  for (const train::ReportChart& chart : layout.charts) {
    titles.push_back(chart.title);
    bool measured = false;
    for (const train::ReportLine& one : chart.lines) {
      for (const Json& line : lines) measured = measured || line.contains(one.key);
    }
    EXPECT_TRUE(measured) << chart.title << ": no line of metrics has its keys";
  }
  for (const char* title : {"Reward: random", "Reward: format", "Groups without signal", "Tokens clipped",
                            "KL to the reference (nats per token, k3)", "Seconds of a step"})
    EXPECT_NE(std::find(titles.begin(), titles.end(), title), titles.end()) << title;
  for (const char* text : {"Held-out pass@1", "Reward: format", "val_pass1", "groups_without_signal"})
    EXPECT_NE(page.find(text), std::string::npos) << text;
}

TEST_F(GrpoRun, AGgufFileIsABaseToo) {
  const auto converted = test::shell(std::string(HADAL_BINARY) + " convert --model " + (folder_ / "base") +
                                     " --out " + (folder_ / "base.gguf") + " --type f32 2>&1");
  ASSERT_EQ(converted.status, 0) << converted.output;
  const auto of_folder = run(recipe(), "folder");
  const auto of_file = run(recipe({"model.base=" + (folder_ / "base.gguf")}), "file");
  ASSERT_EQ(of_file.size(), of_folder.size());
  for (size_t i = 1; i < of_file.size(); ++i) EXPECT_EQ(of_file[i]["loss"], of_folder[i]["loss"]) << i;
  EXPECT_LT(of_file[1]["logprob_diff_max"].get<double>(), 1e-3);
  // The result is a directory that is served, with the file's tokenizer and template.
  engine::EngineOptions serving;
  serving.threads = 1;
  const auto engine = engine::Engine::open(folder_ / "file/model", serving);
  EXPECT_NE(engine->chat_format(), nullptr);
}

TEST_F(GrpoRun, AMeasurementThatFailsOnTheWayDoesNotEndTheRun) {
  // Where step 2's samples belong stands a folder.
  fs::create_directories(folder_ / "run/samples/step-00000002.txt/x");
  const auto lines = run(recipe(), "run");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_TRUE(lines[2].contains("val_error")) << lines[2].dump();
  EXPECT_FALSE(lines[3].contains("val_error"));
  EXPECT_TRUE(lines[4].contains("val_pass1"));
  EXPECT_FALSE(lines[4].contains("val_error"));
  EXPECT_EQ(base::read_json_file(folder_ / "run/summary.json")["val_pass1"], lines[4]["val_pass1"]);
}

// What could not be measured has no figure: not the older one, and not the one whose samples are missing.
TEST_F(GrpoRun, ALastMeasurementThatFailsIsSaidInTheSummary) {
  fs::create_directories(folder_ / "run/samples/step-00000004.txt/x");
  const auto lines = run(recipe(), "run");
  ASSERT_EQ(lines.size(), 5u);
  EXPECT_TRUE(lines[2].contains("val_pass1"));
  for (const char* key : {"val_pass1", "val_format", "val_length"})
    EXPECT_FALSE(lines[4].contains(key)) << key;
  const auto check = [&] {
    const Json summary = base::read_json_file(folder_ / "run/summary.json");
    EXPECT_TRUE(summary.at("val_pass1").is_null()) << summary.dump();
    EXPECT_EQ(summary.at("val_error"), lines[4]["val_error"]);
    EXPECT_TRUE(summary.at("base_val_pass1").is_number());
  };
  check();
  // A process that has measured nothing itself says the same.
  train::TrainerOptions options;
  options.run = folder_ / "run";
  options.resume = true;
  options.progress = train::ProgressLine::Mode::kQuiet;
  EXPECT_EQ(run_grpo(recipe(), options), train::Outcome::kFinished);
  check();
}

TEST_F(GrpoRun, ABaseThatWasReplacedUnderItsNameIsRefused) {
  run(recipe(), "run");
  const std::string weights = folder_ / "base/model.safetensors";
  std::string bytes = base::read_file(weights);
  bytes.back() = static_cast<char>(bytes.back() ^ 1);
  test::spill(weights, bytes);
  train::TrainerOptions options;
  options.run = folder_ / "run";
  options.resume = true;
  options.progress = train::ProgressLine::Mode::kQuiet;
  try {
    run_grpo(recipe({"schedule.steps=5"}), options);
    ADD_FAILURE() << "another base was taken";
  } catch (const Error& e) {
    EXPECT_NE(std::string(e.what()).find("model/base holds another model"), std::string::npos) << e.what();
  }
}

}  // namespace
}  // namespace hadal::posttrain
