// Reinforcement learning through kills and signals: the end is the same bits.
#include <gtest/gtest.h>

#include "task_run.h"

namespace hadal {
namespace {

namespace fs = std::filesystem;
using test::Child;

class GrpoFault : public test::TaskRunFault {
 protected:
  void SetUp() override {
    TaskRunFault::SetUp();
    make_model("base", 1);
    test::spill(folder_ / "tiny.toml", toml());
  }
  std::string toml() const { return grpo_toml("base"); }
  std::vector<std::string> arguments(const std::string& run, bool resume = false) const {
    std::vector<std::string> a = {"grpo", folder_ / "tiny.toml", "--out", folder_ / run, "--threads", "1"};
    if (resume) a.push_back("--resume");
    return a;
  }
  int run(const std::string& name, bool resume = false) { return TaskRunFault::run(arguments(name, resume)); }
  void expect_same_as_whole(const std::string& name) const { expect_same(name, "whole"); }
};

TEST_F(GrpoFault, KilledAtRandomInstantsItEndsWithTheSameBits) {
  ASSERT_EQ(run("whole"), 0) << output();
  EXPECT_FALSE(file("whole/model/model.safetensors") == file("base/model.safetensors"));
  for (int round = 0; round < 2; ++round) {
    const std::string name = "killed" + std::to_string(round);
    for (int kill = 0; kill < 2; ++kill) kill_at(arguments(name, kill > 0), name, 2 + random_() % 11);
    ASSERT_EQ(run(name, true), 0) << output();
    expect_same_as_whole(name);
  }
}

TEST_F(GrpoFault, SigtermSavesAndLeaves) {
  ASSERT_EQ(run("whole"), 0) << output();
  Child child(arguments("stopped"), folder_ / "output");
  while (child.running() && lines("stopped") < 5) test::sleep_ms(1);
  child.kill(SIGTERM);
  ASSERT_EQ(child.wait(), 0) << output();
  EXPECT_NE(output().find("--resume"), std::string::npos) << output();
  const int64_t step = lines("stopped") - 1;  // a line of step 0 comes first
  ASSERT_LT(step, 14) << "the run ended before the signal";
  const std::string checkpoint = fmt::format("stopped/checkpoints/step-{:08}/", step);
  EXPECT_TRUE(fs::exists(folder_ / (checkpoint + "state/state.json")));
  // What lies there can be served: a Hugging Face directory.
  for (const char* name : {"config.json", "tokenizer.json", "tokenizer_config.json", "model.safetensors"})
    EXPECT_TRUE(fs::exists(folder_ / (checkpoint + "model/" + name))) << name;
  ASSERT_EQ(run("stopped", true), 0) << output();
  expect_same_as_whole("stopped");
}

TEST_F(GrpoFault, BadInputIsOneLineAndStatus2) {
  test::spill(folder_ / "typo.toml", toml() + "[rollouts]\nprompts = 1\n");
  EXPECT_EQ(Child({"grpo", folder_ / "typo.toml", "--out", folder_ / "typo"}, folder_ / "output").wait(), 2);
  EXPECT_NE(output().find("did you mean rollout"), std::string::npos) << output();
  for (const std::string change : {"task.name=sums:99", "rewards.sum=nothing", "task.template=nothing",
                                   "grpo.average=mean", "rollout.answers=1", "model.base=/nowhere"}) {
    EXPECT_EQ(
        Child({"grpo", folder_ / "tiny.toml", "--out", folder_ / "bad", "--set", change}, folder_ / "output")
            .wait(),
        2)
        << change;
    const std::string text = output();
    EXPECT_EQ(std::count(text.begin(), text.end(), '\n'), 1) << text;
  }
}

// A file's questions belong to what a run is: lines may be left out when asked, and others are refused.
TEST_F(GrpoFault, AFileOfQuestionsIsSkippedInWhenAskedAndRemembered) {
  std::string questions;
  for (int i = 0; i < 40; ++i)
    questions += fmt::format("{{\"question\": \"{}+1\", \"answer\": {}}}\n", i, i + 1);
  const auto with = [&](std::vector<std::string> more, bool resume = false) {
    std::vector<std::string> a = arguments("file", resume);
    a.insert(a.end(), {"--set", "task.name=jsonl:" + (folder_ / "q.jsonl"), "--set", "schedule.steps=4"});
    a.insert(a.end(), more.begin(), more.end());
    return TaskRunFault::run(a);
  };
  test::spill(folder_ / "q.jsonl", questions + "{broken\n");
  EXPECT_EQ(with({}), 2);
  EXPECT_NE(output().find("q.jsonl:41: "), std::string::npos) << output();
  EXPECT_NE(output().find("--skip-bad-lines"), std::string::npos) << output();
  ASSERT_EQ(with({"--skip-bad-lines"}), 0) << output();
  EXPECT_NE(output().find("1 bad lines skipped"), std::string::npos) << output();
  EXPECT_EQ(base::Json::parse(file("file/summary.json"))["bad_lines_skipped"], 1);
  // The same questions without the bad line are the same data; others are not.
  test::spill(folder_ / "q.jsonl", questions);
  EXPECT_EQ(with({"--set", "schedule.steps=5"}, true), 0) << output();
  test::spill(folder_ / "q.jsonl", questions.replace(questions.find("0+1"), 3, "0+2"));
  EXPECT_EQ(with({"--set", "schedule.steps=6"}, true), 2);
  EXPECT_NE(output().find("q.jsonl is not the data that this run began with"), std::string::npos) << output();
}

}  // namespace
}  // namespace hadal
